"""Renders HTML pages with escaping and a strict content security policy.

Names of features, targets and models are user data. They enter a template only through :func:`text`, and a
script only through :func:`data`.
"""

import base64
import hashlib
import html
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from predictor.errors import HeaderFields


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered HTML page, the same for every client.

    Attributes:
        html: the body, UTF-8.
        content_security_policy: allows the page's own script and style by their hashes, and nothing else.
    """

    html: bytes
    content_security_policy: str

    @property
    def headers(self) -> HeaderFields:
        """The header fields of the page."""
        return (
            (b"content-security-policy", self.content_security_policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-cache"),
            (b"etag", b'"%b"' % hashlib.sha256(self.html).hexdigest()[:32].encode()),
            (b"vary", b"Accept"),
        )


def render(template: str, scripts: tuple[str, ...], **values: str) -> Page:
    """Fill a template with HTML ``values``, the style sheet and the named scripts."""
    style, script = asset("style.css"), "\n".join(asset(name) for name in scripts)
    page = string.Template(asset(template)).substitute(
        values, style=style, script=script, icon=f"data:image/svg+xml,{quote(asset('icon.svg'))}"
    )
    policy = {
        "default-src": "'none'",
        "script-src": _source(script),
        "style-src": _source(style),
        "img-src": "data:",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return Page(page.encode(), "; ".join(f"{key} {value}" for key, value in policy.items()))


def text(value: object) -> str:
    """Escape a value for an element's text or a quoted attribute."""
    return html.escape(str(value), quote=True)


def data(value: Mapping[str, Any]) -> str:
    """Return JSON for a ``<script type="application/json">``; nothing in it can end the element."""
    encoded = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return encoded.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def number(value: float, digits: int = 4) -> str:
    """Format a number for people, with a real minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")  # noqa: RUF001


@cache
def asset(name: str) -> str:
    """Return the text of a file in ``predictor/web/assets``."""
    return (resources.files("predictor.web") / "assets" / name).read_text(encoding="utf-8")


def _source(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
