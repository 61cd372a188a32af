"""The pages and documents of the site."""

from collections.abc import Callable
from typing import Any

import orjson

from predictor.messages import Request, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.web.docs_page import docs
from predictor.web.html import Page
from predictor.web.openapi import Auth, document
from predictor.web.page import index, page

_HTML = b"text/html"


class Site:
    """The page and the documents, rendered when they are first asked for and kept as long as the model is."""

    def __init__(self, handle: ModelHandle, auth: Auth = "off", *, feedback: bool = False) -> None:
        self.handle = handle
        self.feedback = feedback
        self.auth = auth
        self._rendered: dict[str, tuple[LoadedModel | None, Response]] = {}

    def root(self, request: Request) -> Response:
        """Answer ``GET /``: the page where HTML is asked for by name, else JSON."""
        if _HTML in request.headers.accept and self.handle.loaded:
            return self._cached("page", self._page)
        return self._cached("index", self._index)

    def openapi(self, _request: Request) -> Response:
        """Answer ``GET /openapi.json``."""
        return self._cached("openapi", lambda loaded: Response.of(self._document(loaded)))

    def docs(self, _request: Request) -> Response:
        """Answer ``GET /docs``."""
        return self._cached("docs", lambda loaded: _rendered(docs(self._document(loaded))))

    def _cached(self, name: str, render: Callable[[LoadedModel | None], Response]) -> Response:
        loaded, answer = self._rendered.get(name, (None, None))
        if answer is None or loaded is not self.handle.loaded:
            loaded = self.handle.loaded
            answer = render(loaded)
            self._rendered[name] = loaded, answer
        return answer

    def _page(self, loaded: LoadedModel | None) -> Response:
        if loaded is None:
            return self._index(loaded)
        handle = self.handle
        return _rendered(page(loaded.model, name=handle.name, version=handle.version, digest=loaded.digest))

    def _index(self, loaded: LoadedModel | None) -> Response:
        model, digest = (loaded.model, loaded.digest) if loaded else (None, None)
        found = index(model, name=self.handle.name, version=self.handle.version, digest=digest)
        return Response(
            orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n", headers=((b"vary", b"accept"),)
        )

    def _document(self, loaded: LoadedModel | None) -> dict[str, Any]:
        model = loaded.model if loaded else None
        handle = self.handle
        return document(
            model, name=handle.name, version=handle.version, auth=self.auth, has_feedback=self.feedback
        )


def _rendered(found: Page) -> Response:
    headers = {name.lower().encode(): value.encode() for name, value in found.headers.items()}
    content_type = headers.pop(b"content-type")
    return Response(found.html, content_type=content_type, headers=tuple(headers.items()))
