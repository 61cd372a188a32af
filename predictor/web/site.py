"""What is asked with GET and is no prediction: the page, the documents, health and metadata."""

from collections.abc import Callable
from importlib import metadata as packages
from typing import Any

import orjson

from predictor.codecs import tensors
from predictor.messages import TEXT, RequestHeaders, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.web.docs_page import docs
from predictor.web.html import Page
from predictor.web.openapi import Auth, document
from predictor.web.page import index, page

_HTML = b"text/html"


class Site:
    """The page and the documents, rendered when they are first asked for and kept as long as the model is."""

    def __init__(self, served: ModelHandle, auth: Auth = "off", *, keeps: bool = False) -> None:
        self.served = served
        self.keeps = keeps
        self.auth = auth
        self._kept: dict[str, tuple[LoadedModel | None, Response]] = {}

    def root(self, head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
        """Answer ``GET /``: the page where HTML is asked for by name, else JSON."""
        if _HTML in head.accept and self.served.loaded:
            return self._keep("page", self._page)
        return self._keep("index", self._index)

    def openapi(self, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
        """Answer ``GET /openapi.json``."""
        return self._keep("openapi", lambda loaded: Response.of(self._document(loaded)))

    def docs(self, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
        """Answer ``GET /docs``."""
        return self._keep("docs", lambda loaded: _rendered(docs(self._document(loaded))))

    def _keep(self, name: str, render: Callable[[LoadedModel | None], Response]) -> Response:
        loaded, answer = self._kept.get(name, (None, None))
        if answer is None or loaded is not self.served.loaded:
            loaded = self.served.loaded
            answer = render(loaded)
            self._kept[name] = loaded, answer
        return answer

    def _page(self, loaded: LoadedModel | None) -> Response:
        if loaded is None:
            return self._index(loaded)
        served = self.served
        return _rendered(page(loaded.model, name=served.name, version=served.version, digest=loaded.digest))

    def _index(self, loaded: LoadedModel | None) -> Response:
        model, digest = (loaded.model, loaded.digest) if loaded else (None, None)
        found = index(model, name=self.served.name, version=self.served.version, digest=digest)
        return Response(
            orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n", headers=((b"vary", b"accept"),)
        )

    def _document(self, loaded: LoadedModel | None) -> dict[str, Any]:
        model = loaded.model if loaded else None
        served = self.served
        return document(model, name=served.name, version=served.version, auth=self.auth, keeps=self.keeps)


def ping(_head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /ping``, whatever the model's state."""
    return Response(b"pong", content_type=TEXT)


def live(_head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v2/health/live``."""
    return Response.of({"live": True})


def ready(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v2/health/ready``: 503 with the reason while new requests should not come."""
    served.require_ready()
    return Response.of({"ready": True})


def model_ready(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v1/models/M`` and ``GET /v2/models/M/ready``: 503 with the reason while not ready."""
    served.require_ready()
    return Response.of({"name": served.name, "ready": True})


def models(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v1/models`` and ``GET /v2/models``."""
    return Response.of({"models": [served.name]})


def server(_head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v2``."""
    version = packages.version("linear-regressor")
    return Response.of({"name": "linear-regressor", "version": version, "extensions": ["binary_tensor_data"]})


def metadata(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /v2/models/M`` with the tensors, the versions and the features by name."""
    scorer = served.require().scorer
    return Response.of(
        {
            "name": served.name,
            "versions": [served.version] if served.version else [],
            "platform": "linear-regressor",
            "inputs": tensors.inputs(scorer.width),
            "outputs": tensors.outputs(),
            "parameters": {"features": scorer.names},
        }
    )


def repository_index(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``POST /v2/repository/index``, for an administrator."""
    state = "READY" if served.ready else "UNAVAILABLE"
    return Response.of(
        [{"name": served.name, "version": served.version, "state": state, "reason": served.reason}]
    )


def load(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``POST /v2/repository/models/M/load``, for an administrator: read the model folder again."""
    served.load()
    served.require()
    return Response.of({"name": served.name, "load": True})


def unload(served: ModelHandle, _head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``POST /v2/repository/models/M/unload``, for an administrator."""
    served.unload()
    return Response.of({"name": served.name, "unload": True})


def _rendered(found: Page) -> Response:
    headers = {name.lower().encode(): value.encode() for name, value in found.headers.items()}
    content_type = headers.pop(b"content-type")
    return Response(found.html, content_type=content_type, headers=tuple(headers.items()))
