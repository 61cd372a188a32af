"""Which endpoint answers which path."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple, NoReturn
from urllib.parse import parse_qsl

from predictor.endpoints import feedback, health, model_repository, native, telemetry, v1, v2
from predictor.endpoints.small_json import SmallJson, SmallReader
from predictor.errors import InvalidInput, MethodNotAllowed, NotFound, PredictorError
from predictor.messages import Handler, Request, Response
from predictor.service.auth import Scope
from predictor.service.inference import InferenceService
from predictor.web.site import Site
from predictor.wording import shown

_V1 = re.compile(r"/v1/models/(?P<model>[^/:]+)(?P<verb>:predict|:explain)?")
_V2 = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready)?")
_REPOSITORY = re.compile(r"/v2/repository/models/(?P<model>[^/]+)(?P<verb>/load|/unload)")


_NAMES_COMPARED = 8
"""Comparing takes 20 µs a name, and a query can have thousands."""
_RESEMBLES = 0.7


class Route(NamedTuple):
    """The endpoint of a path.

    Attributes:
        endpoint: its name in metrics and logs.
        handlers: a function for each method; empty for a path that does not exist.
        scope: what a credential must grant.
        small: a quicker reader of the plainest bodies of its POST.
        takes_records: whether a POST can be a stream of records (NDJSON).
        path: the path as it is documented, without values in it; empty for one that does not exist.
    """

    endpoint: str
    handlers: Mapping[str, Handler]
    scope: Scope = "public"
    small: SmallReader | None = None
    takes_records: bool = False
    path: str = ""

    def handler(self, method: str) -> Handler:
        """Return the function for a method; HEAD is answered as GET, without the body."""
        found = self._find(method)
        if found is not None:
            return found
        if not self.handlers:
            return partial(_refuse, NotFound("no such path; GET /docs lists those that exist"))
        allowed = [*self.handlers, *(["HEAD"] if "GET" in self.handlers else [])]
        return partial(_refuse_method, method, ", ".join(allowed))

    def scope_of(self, method: str) -> Scope:
        """Return what a credential must grant for a method; nothing for one that is refused in any case."""
        return self.scope if self._find(method) else "public"

    def _find(self, method: str) -> Handler | None:
        return self.handlers.get("GET" if method == "HEAD" else method)


class Routes:
    """Every path of the server."""

    def __init__(self, service: InferenceService, site: Site) -> None:
        self.service = service
        self.handle = service.handle
        small = SmallJson(service.handle)

        def get(endpoint: str, handler: Callable[..., Response], *, scope: Scope = "public") -> Route:
            return Route(endpoint, {"GET": handler}, scope)

        def post(
            endpoint: str,
            handler: Callable[[InferenceService, Request], Response],
            scope: Scope = "predict",
            small: SmallReader | None = None,
        ) -> Route:
            return Route(endpoint, {"POST": partial(handler, service)}, scope, small)

        log = service.request_log
        self.exact: dict[str, Route] = {
            "/": get("page", site.root),
            "/ping": get("ping", health.ping),
            "/openapi.json": get("openapi", site.openapi),
            "/docs": get("docs", site.docs),
            "/metrics": get("metrics", service.metrics.scrape),
            "/drift": get("drift", service.drift.show),
            "/stream": post("stream", native.stream, small=small.stream)._replace(takes_records=True),
            "/batch": post("batch", native.batch, small=small.batch),
            "/feedback": post("feedback", feedback.record, "feedback"),
            "/v1/models": get("metadata", partial(health.models, service)),
            "/v2": get("metadata", health.server),
            "/v2/models": get("metadata", partial(health.models, service)),
            "/v2/health/live": get("health", health.live),
            "/v2/health/ready": get("health", partial(health.ready, service)),
            "/v2/repository/index": post("repository", model_repository.index, "admin"),
            "/log": get("log", log.show, scope="admin"),
            "/emptyLog": get("log", log.empty, scope="admin"),
            "/telemetry": Route(
                "telemetry",
                {"GET": partial(telemetry.show, service), "PATCH": partial(telemetry.change, service)},
                "admin",
            ),
        }
        self.v1 = {
            None: get("health", partial(health.model_ready, service)),
            ":predict": post("v1_predict", v1.predict, small=small.batch),
            ":explain": post("v1_explain", v1.explain, "explain"),
        }
        self.v2 = {
            None: get("metadata", partial(health.metadata, service)),
            "/ready": get("health", partial(health.model_ready, service)),
            "/infer": post("v2_infer", v2.infer, small=small.infer),
        }
        self.repository = {
            "/load": post("repository", model_repository.load, "admin"),
            "/unload": post("repository", model_repository.unload, "admin"),
        }
        name = self.handle.name
        self.exact |= {f"/v1/models/{name}{verb or ''}": route for verb, route in self.v1.items()}
        self.exact |= {f"/v2/models/{name}{verb or ''}": route for verb, route in self.v2.items()}
        self.exact = {path: route._replace(path=path) for path, route in self.exact.items()}

    def find(self, path: str, query: bytes = b"") -> Route:
        """Return the route of a decoded path; one that answers 404 for an unknown path.

        A slash at the end makes no difference.

        Args:
            path: the path.
            query: what follows it after a question mark; only ``interval`` means anything.
        """
        path = path.removesuffix("/") or "/"
        if query and path.startswith(("/stream", "/batch")):
            try:
                interval = interval_of(query)
            except InvalidInput as error:
                return self._refusing(self.find(path), error)
            if interval:
                return self._with_intervals(path, interval)
        if route := self.exact.get(path):
            return route
        if path.startswith("/stream/"):
            handler = partial(native.stream_value, self.service, path[8:])
            return Route("stream", {"GET": handler}, "predict", path="/stream/{instance}")
        if path.startswith("/batch/"):
            handler = partial(native.batch_value, self.service, path[7:])
            return Route("batch", {"GET": handler}, "predict", path="/batch/{instances}")
        if found := _V1.fullmatch(path):
            return self._of_model(self.v1[found["verb"]], "/v1/models/{model}", found)
        if found := _V2.fullmatch(path):
            version = "/versions/{version}" if found["version"] else ""
            return self._of_model(self.v2[found["verb"]], f"/v2/models/{{model}}{version}", found)
        if found := _REPOSITORY.fullmatch(path):
            return self._of_model(self.repository[found["verb"]], "/v2/repository/models/{model}", found)
        return Route("unknown", {})

    def _with_intervals(self, path: str, interval: str) -> Route:
        """Return the route of a path of the native endpoints, whose responses have intervals."""
        route = self.find(path)
        native_handlers: Mapping[str, Callable[..., Response]] = route.handlers
        handlers = {method: partial(found, interval=interval) for method, found in native_handlers.items()}
        return route._replace(handlers=handlers, small=None, takes_records=False)

    def _of_model(self, route: Route, path: str, found: re.Match[str]) -> Route:
        """Return the same route where model and version are served here; else one that says so."""
        route = route._replace(path=f"{path}{found['verb'] or ''}")
        try:
            check_model(self.service, found["model"], found.groupdict().get("version"))
        except NotFound as error:
            return self._refusing(route, error)
        return route

    def _refusing(self, route: Route, error: PredictorError) -> Route:
        """Return a route with the same methods, which all answer an error."""
        handlers = dict.fromkeys(route.handlers, partial(_refuse, error))
        return route._replace(handlers=handlers, small=None, takes_records=False)


def interval_of(query: bytes) -> str:
    """Return the last value of ``interval`` in a query; empty without one.

    Raises:
        InvalidInput: another name resembles it. Others are ignored, as gateways may add some.
    """
    pairs = parse_qsl(query.decode("latin-1"))
    values = [value for name, value in pairs if name == "interval"]
    others = dict.fromkeys(name for name, _ in pairs if name != "interval")
    for name in list(others)[:_NAMES_COMPARED]:
        if get_close_matches(name.lower(), ("interval",), 1, _RESEMBLES):
            raise InvalidInput(f'unknown query parameter {shown(name)}; did you mean "interval"?')
    return values[-1] if values else ""


def check_model(service: InferenceService, model: str, version: str | None = None) -> None:
    """Check that a model and, if it is named, a version are served here.

    Raises:
        NotFound: they are not.
    """
    handle = service.handle
    if model != handle.name:
        raise NotFound(f"model {model[:80]} does not exist; this server has {handle.name}")
    if version and version != handle.version:
        served = handle.version or "one without a label"
        raise NotFound(f"model {model} has no version {version[:80]}; this server has {served}")


def _refuse(error: PredictorError, _request: Request) -> NoReturn:
    raise type(error)(str(error))


def _refuse_method(method: str, allowed: str, _request: Request) -> NoReturn:
    raise MethodNotAllowed(method, allowed)
