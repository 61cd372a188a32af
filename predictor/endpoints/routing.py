"""Which function answers which path."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, NoReturn

from prometheus_client import REGISTRY, exposition

from predictor.endpoints import native, v2
from predictor.endpoints.small_json import Found, SmallJson
from predictor.errors import MethodNotAllowed, NotFound
from predictor.messages import RequestHeaders, Response
from predictor.model.handle import ModelHandle
from predictor.observability.request_log import RequestLog
from predictor.web import site as pages
from predictor.web.site import Site

Handler = Callable[[RequestHeaders, bytes | bytearray], Response]

_V1 = re.compile(r"/v1/models/(?P<model>[^/:]+)(?P<verb>:predict|:explain)?")
_V2 = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready)?")
_REPOSITORY = re.compile(r"/v2/repository/models/(?P<model>[^/]+)(?P<verb>/load|/unload)")


class Route(NamedTuple):
    """A path: the name it has in metrics, and a function for each method that it knows.

    ``quick`` answers the plainest bodies of its POST in less time.
    """

    name: str
    handlers: Mapping[str, Handler]
    scope: str = "public"
    quick: Callable[[bytes], Found] | None = None

    def handler(self, method: str) -> Handler:
        """The function for a method; HEAD is answered as GET, without the body.

        Raises:
            MethodNotAllowed: there is none.
        """
        found = self.handlers.get("GET" if method == "HEAD" else method)
        if found is None:
            allowed = [*self.handlers, *(["HEAD"] if "GET" in self.handlers else [])]
            raise MethodNotAllowed(method, ", ".join(allowed))
        return found


class Routes:
    """Every path that is answered here; the others are KServe's."""

    def __init__(self, served: ModelHandle, site: Site, log: RequestLog, keep: Handler) -> None:
        self.served = served
        quick = SmallJson(served)
        self.exact: dict[str, Route] = {
            "/": _get("page", site.root),
            "/ping": _get("ping", pages.ping),
            "/openapi.json": _get("openapi", site.openapi),
            "/docs": _get("docs", site.docs),
            "/metrics": _get("metrics", metrics),
            "/stream": _post("stream", partial(native.stream, served), quick=quick.stream),
            "/batch": _post("batch", partial(native.batch, served), quick=quick.batch),
            "/feedback": _post("feedback", keep, "feedback"),
            "/v1/models": _get("metadata", partial(pages.models, served)),
            "/v2": _get("metadata", pages.server),
            "/v2/models": _get("metadata", partial(pages.models, served)),
            "/v2/health/live": _get("health", pages.live),
            "/v2/health/ready": _get("health", partial(pages.ready, served)),
            "/v2/repository/index": _post("repository", partial(pages.repository_index, served), "admin"),
            "/log": _get("log", log.show, "admin"),
            "/emptyLog": _get("log", log.empty, "admin"),
        }
        self.v1 = {
            None: _get("health", partial(pages.model_ready, served)),
            ":predict": _post("v1_predict", partial(native.predict, served), quick=quick.batch),
            ":explain": _post("v1_explain", partial(native.explain, served), scope="explain"),
        }
        self.v2 = {
            None: _get("metadata", partial(pages.metadata, served)),
            "/ready": _get("health", partial(pages.model_ready, served)),
            "/infer": _post("v2_infer", partial(v2.infer, served), quick=quick.infer),
        }
        self.repository = {
            "/load": _post("repository", partial(pages.load, served), "admin"),
            "/unload": _post("repository", partial(pages.unload, served), "admin"),
        }
        self.exact |= {f"/v1/models/{served.name}{verb or ''}": route for verb, route in self.v1.items()}
        self.exact |= {f"/v2/models/{served.name}{verb or ''}": route for verb, route in self.v2.items()}

    def find(self, path: str) -> Route | None:
        """The route of a decoded path; None for a path that is KServe's, or nobody's."""
        if route := self.exact.get(path):
            return route
        if path.startswith("/stream/"):
            return _get("stream", lambda _head, _body: native.stream_value(self.served, path[8:]), "predict")
        if path.startswith("/batch/"):
            return _get("batch", lambda _head, _body: native.batch_value(self.served, path[7:]), "predict")
        if found := _V1.fullmatch(path):
            return self._of_model(self.v1[found["verb"]], found["model"])
        if found := _V2.fullmatch(path):
            return self._of_model(self.v2[found["verb"]], found["model"], found["version"])
        if found := _REPOSITORY.fullmatch(path):
            return self._of_model(self.repository[found["verb"]], found["model"])
        return None

    def _of_model(self, route: Route, model: str, version: str | None = None) -> Route:
        """The same route where model and version are ours; else one that says that they are not."""
        if model != self.served.name:
            message = f"model {model[:80]} does not exist, only {self.served.name}"
        elif version not in (None, self.served.version):
            message = (
                f"model {model} has no version {version}, only {self.served.version or 'an unnamed one'}"
            )
        else:
            return route
        return route._replace(handlers=dict.fromkeys(route.handlers, partial(_missing, message)))


def metrics(head: RequestHeaders, _body: bytes | bytearray = b"") -> Response:
    """Answer ``GET /metrics``, as text or as OpenMetrics."""
    encoder, content_type = exposition.choose_encoder(b",".join(head.accept).decode("latin-1"))
    return Response(encoder(REGISTRY), content_type=content_type.encode())


def _missing(message: str, _head: RequestHeaders, _body: bytes | bytearray) -> NoReturn:
    raise NotFound(message)


def _get(name: str, handler: Handler, scope: str = "public") -> Route:
    return Route(name, {"GET": handler}, scope)


def _post(
    name: str, handler: Handler, scope: str = "predict", quick: Callable[[bytes], Found] | None = None
) -> Route:
    return Route(name, {"POST": handler}, scope, quick)
