"""What ``GET /docs`` answers: the OpenAPI document as a page that loads nothing and needs no script."""

from collections.abc import Mapping
from typing import Any

from predictor.html import Page, render, text


def docs(document: Mapping[str, Any]) -> Page:
    """Render an OpenAPI document as an API reference."""
    info = document["info"]
    return render(
        "docs.html",
        ("common.js",),
        title=text(info["title"]),
        description=text(info["description"]),
        body="".join(
            f"<h2>{text(method.upper())} {text(path)}</h2><p>{text(operation['summary'])}</p>"
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if isinstance(operation, dict)
        ),
    )
