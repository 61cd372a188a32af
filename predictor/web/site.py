"""Answers requests for the page and the documents."""

from collections.abc import Callable
from typing import Any

import orjson

from predictor.messages import Request, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.settings import AuthMode
from predictor.web.docs_page import docs
from predictor.web.html import Page
from predictor.web.openapi import document
from predictor.web.page import index, page

_HTML = b"text/html"


class Site:
    """The page and the documents, rendered on first use and cached until another model is loaded."""

    def __init__(self, handle: ModelHandle, auth: AuthMode = "off", *, feedback: bool = False) -> None:
        self.handle = handle
        self.feedback = feedback
        self.auth = auth
        self._cache: dict[str, tuple[LoadedModel | None, Response]] = {}

    def root(self, request: Request) -> Response:
        """Answer ``GET /``: the page if Accept names HTML, else JSON."""
        if _HTML in request.headers.accept:
            return self._cached("page", self._page)
        return self._cached("index", self._index)

    def openapi(self, _request: Request) -> Response:
        """Answer ``GET /openapi.json``."""
        return self._cached("openapi", lambda loaded: Response.of(self._document(loaded)))

    def docs(self, _request: Request) -> Response:
        """Answer ``GET /docs``."""
        return self._cached("docs", lambda loaded: _page_response(docs(self._document(loaded))))

    def _cached(self, name: str, render: Callable[[LoadedModel | None], Response]) -> Response:
        loaded = self.handle.loaded
        rendered_for, response = self._cache.get(name, (None, None))
        if response is None or rendered_for is not loaded:
            response = render(loaded)
            self._cache[name] = loaded, response
        return response

    def _page(self, loaded: LoadedModel | None) -> Response:
        if loaded is None:
            return self._index(loaded)
        return _page_response(page(loaded, name=self.handle.name, version=self.handle.version))

    def _index(self, loaded: LoadedModel | None) -> Response:
        facts = index(loaded, name=self.handle.name, version=self.handle.version)
        body = orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n"
        return Response(body, headers=((b"vary", b"accept"),))

    def _document(self, loaded: LoadedModel | None) -> dict[str, Any]:
        name, version = self.handle.name, self.handle.version
        return document(loaded, name=name, version=version, auth=self.auth, has_feedback=self.feedback)


def _page_response(rendered: Page) -> Response:
    return Response(rendered.html, content_type=b"text/html; charset=utf-8", headers=rendered.headers)
