"""The lines of requests in a log: what they may hold."""

import json
import re
from typing import Any

from predictor import errors
from predictor.observability.counting import Transport

_ERRORS = {error.__name__ for error in vars(errors).values() if isinstance(error, type)}
_FORMS: dict[str, str] = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00",
    "level": "info|warning|error",
    "logger": r"predictor\.access",
    "message": "answered|refused|failed",
    "request_id": r"[A-Za-z0-9._:/+=@-]{1,128}",
    "trace_id": "[0-9a-f]{32}",
    "span_id": "[0-9a-f]{16}",
    "principal": "[a-z-]*",
    "transport": "|".join(Transport.__args__),  # type: ignore[attr-defined]
    "endpoint": "[a-z0-9_]+",
    "route": r"|/|(?:/(?:[a-z0-9]+|emptyLog|openapi\.json|linear-regressor|\{[a-z]+\})"
    r"(?::predict|:explain)?)+|/(?:[\w.]+)/[A-Z]\w+",
    "status": r"\d{3}",
    "seconds": r"\d+(?:\.\d+)?(?:e-\d+)?",
    "rows": r"\d+",
    "error": "|".join(_ERRORS),
}
"""The fields of a line and the forms of their values. But for the id, none has room for a client's value."""


def request_lines(text: str) -> list[dict[str, Any]]:
    """Return the lines of requests in a log, after a check that they hold nothing but what they may."""
    lines = [json.loads(line) for line in text.splitlines()]
    found = [line for line in lines if line["logger"] == "predictor.access"]
    for line in found:
        for name, value in line.items():
            assert re.fullmatch(_FORMS[name], str(value)), f"{name}: {value!r}"
    return found
