"""Spans by OpenTelemetry, if its environment variables ask for them.

The SDK is imported only then. It is called for the requests of recorded traces alone: for another it would
take as long as the whole request does.
"""

import logging
import threading
import time
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any

from predictor.errors import PredictorError
from predictor.identity import Identity, ratio_bound
from predictor.settings import Settings

if TYPE_CHECKING:
    from predictor.observability.telemetry import Operation

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
_OUR_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""gRPC codes that are errors of a server."""
_SERVER_ERROR = 500
_CLOSING_SECONDS = 3.0
_EXPORTERS = ("otlp", "none")
_PROTOCOLS = ("http/protobuf",)
_PARENT_BASED = "parentbased_"

logger = logging.getLogger(__name__)


class Tracer:
    """Makes a span of each request of a recorded trace, and gives it to the SDK.

    Args:
        provider: the SDK's provider of tracers.
        ids: is told the ids of the next span.
        ratio: the share of the traces that begin here which is recorded.
        follows_parent: whether a client decides this for its own traces.
        scheme: of the URLs, http or https.

    Attributes:
        bound: is above the last 16 digits of the ids of recorded traces.
    """

    def __init__(
        self, provider: Any, ids: "_Ids", ratio: float, *, follows_parent: bool, scheme: str = "http"
    ) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer("predictor", packages.version("linear-regressor"))
        self._scheme = scheme
        self.follows_parent = follows_parent
        self.ratio = ratio

    @property
    def ratio(self) -> float:
        """The share of the traces that begin here which is recorded."""
        return self._ratio

    @ratio.setter
    def ratio(self, ratio: float) -> None:
        self._ratio = ratio
        self.bound = ratio_bound(ratio)

    def record(
        self,
        operation: "Operation",
        identity: Identity,
        status: int,
        error: PredictorError | None,
        rows: int,
        seconds: float,
    ) -> None:
        """Record the span of a request that has just ended."""
        trace, ended = self._trace, time.time_ns()
        describe = _rpc if operation.transport == "grpc" else self._http
        name, attributes, failed = describe(operation, status, error)
        attributes["predictor.request_id"] = identity.request_id.decode()
        if rows:
            attributes["predictor.rows"] = rows
        if failed:
            attributes["error.type"] = failed
        self._ids.trace_id, self._ids.span_id = int(identity.trace_id, 16), int(identity.span_id, 16)
        span = self._tracer.start_span(
            name,
            context=self._context_of(identity),
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            start_time=ended - int(seconds * 1e9),
        )
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        span.end(ended)

    def close(self) -> None:
        """Send what waits, for a few seconds at most; the SDK alone would try for longer."""
        closing = threading.Thread(target=self._provider.shutdown, name="close tracing", daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)

    def _context_of(self, identity: Identity) -> Any:
        """Return the client's span as the context of ours; an empty one without it."""
        from opentelemetry.context import Context

        if not identity.parent_id:
            return Context()
        trace = self._trace
        parent = trace.SpanContext(
            int(identity.trace_id, 16),
            int(identity.parent_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            trace_state=trace.TraceState.from_header([identity.state.decode()]),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())

    def _http(
        self, operation: "Operation", status: int, error: PredictorError | None
    ) -> tuple[str, dict[str, Any], str]:
        """Return name, attributes and error (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)."""
        known = operation.method in _METHODS
        method = operation.method if known else "_OTHER"
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "http.response.status_code": status,
            "url.scheme": self._scheme,
        }
        if operation.route:  # the path itself may have values in it
            attributes |= {"http.route": operation.route, "url.path": operation.route}
        name = f"{method if known else 'HTTP'} {operation.route}".rstrip()
        return name, attributes, type(error).__name__ if error and status >= _SERVER_ERROR else ""


def _rpc(
    operation: "Operation", _status: int, error: PredictorError | None
) -> tuple[str, dict[str, Any], str]:
    """Return name, attributes and error (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/)."""
    code = error.grpc_code if error else "OK"
    method = operation.route.lstrip("/")
    attributes = {"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": code}
    return method, attributes, code if code in _OUR_FAULTS else ""


def make_tracer(settings: Settings, model_name: str, *, tls: bool = False) -> Tracer | None:
    """Return the tracer that the environment variables of OpenTelemetry describe; None if tracing is off.

    It is on if they name an exporter or where to send spans to.

    Raises:
        ValueError: a variable has a value that is not supported, or the packages are missing.
    """
    endpoint = settings.otel_exporter_otlp_traces_endpoint or settings.otel_exporter_otlp_endpoint
    exporter = settings.otel_traces_exporter or ("otlp" if endpoint else "none")
    if settings.otel_sdk_disabled or exporter == "none":
        return None
    _require("OTEL_TRACES_EXPORTER", exporter, _EXPORTERS)
    _require("OTEL_EXPORTER_OTLP_PROTOCOL", settings.otel_exporter_otlp_protocol, _PROTOCOLS)
    ratio, follows_parent = read_sampler(settings.otel_traces_sampler, settings.otel_traces_sampler_arg)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise ValueError(f"tracing needs the packages of the extra `tracing`: {error}") from error
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: model_name}))
    ids = _Ids()
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    scheme = "https" if tls else "http"
    logger.info("tracing", extra={"sampler": settings.otel_traces_sampler, "ratio": ratio})
    return Tracer(provider, ids, ratio, follows_parent=follows_parent, scheme=scheme)


class _Ids:
    """Gives the SDK the ids that a request has already; its span is made at once."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        """Return the id of the next trace."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return self.span_id

    def is_trace_id_random(self) -> bool:
        """Return whether the ids of new traces are random."""
        return True


def read_sampler(sampler: str, argument: str) -> tuple[float, bool]:
    """Return the share of new traces that a sampler records, and whether clients decide about theirs.

    Raises:
        ValueError: the sampler is not a standard one, or its argument no ratio.
    """
    follows_parent, name = sampler.startswith(_PARENT_BASED), sampler.removeprefix(_PARENT_BASED)
    if name in ("always_on", "always_off"):
        return float(name == "always_on"), follows_parent
    if name != "traceidratio":
        raise ValueError(f"OTEL_TRACES_SAMPLER: {sampler} is not supported")
    try:
        ratio = float(argument)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError("OTEL_TRACES_SAMPLER_ARG: expected a ratio from 0 to 1")
    return ratio, follows_parent


def _require(variable: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{variable}: {value} is not supported; use {' or '.join(known)}")
