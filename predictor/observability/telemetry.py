"""A line in the log and a span for a share of all requests, and a line for each error and refusal.

They have no value that a client sent, and no message about one. Of a path they have the route, of an error
its class.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from predictor.errors import InternalError, PredictorError
from predictor.identity import Identity, ratio_bound
from predictor.messages import Principal
from predictor.observability.counting import Transport
from predictor.observability.tracing import Tracer

_LEVELS = {logging.INFO: "answered", logging.WARNING: "refused", logging.ERROR: "failed"}
"""The message of a line, by its level."""

access = logging.getLogger("predictor.access")


class Operation(Protocol):
    """What a client asks for."""

    @property
    def endpoint(self) -> str:
        """The name in metrics and logs."""

    @property
    def transport(self) -> Transport:
        """How the request came."""

    @property
    def method(self) -> str:
        """The method of HTTP; POST for gRPC."""

    @property
    def route(self) -> str:
        """The path as it is documented, without values; of gRPC the method. Empty if it does not exist."""


class Telemetry:
    """Decides which requests have a line and a span, and writes both.

    Args:
        log_ratio: the share of all requests that have a line.
        write: takes lines; without it none are written.
        tracer: takes spans; without it there are none.

    Attributes:
        bound: is above the last 16 digits of the ids of those new traces that have a line or a span.
    """

    def __init__(
        self,
        log_ratio: float = 0.0,
        write: Callable[[bytes], object] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.write = write
        self.tracer = tracer
        self._log_ratio = log_ratio
        self.refresh()

    def refresh(self) -> None:
        """Take over a changed level of the log, or a changed ratio."""
        ratio = self._log_ratio if self.write and access.isEnabledFor(logging.INFO) else 0.0
        self._log_bound = ratio_bound(ratio)
        self.bound = max(self._log_bound, self.tracer.bound if self.tracer else b"")

    @property
    def log_ratio(self) -> float:
        """The share of all requests that have a line."""
        return self._log_ratio

    @log_ratio.setter
    def log_ratio(self, ratio: float) -> None:
        self._log_ratio = ratio
        self.refresh()

    @property
    def trace_ratio(self) -> float | None:
        """The share of the traces that begin here which is recorded; None without tracing."""
        return self.tracer.ratio if self.tracer else None

    @trace_ratio.setter
    def trace_ratio(self, ratio: float) -> None:
        if self.tracer:
            self.tracer.ratio = ratio
        self.refresh()

    def decide(self, identity: Identity) -> Identity:
        """Decide whether the trace of a request is recorded, where this server decides that."""
        tracer = self.tracer
        if tracer is None or (identity.parent_id and tracer.follows_parent):
            return identity
        return identity._replace(sampled=identity.trace_id[16:] < tracer.bound)

    def record(
        self,
        operation: Operation,
        identity: Identity,
        principal: Principal,
        status: int,
        error: PredictorError | None,
        rows: int,
        seconds: float,
    ) -> None:
        """Write what a request has of both, once it is answered."""
        if error or identity.trace_id[16:] < self._log_bound:
            self._log(operation, identity, principal, status, error, rows, seconds)
        if self.tracer and identity.sampled:
            self.tracer.record(operation, identity, status, error, rows, seconds)

    def _log(
        self,
        operation: Operation,
        identity: Identity,
        principal: Principal,
        status: int,
        error: PredictorError | None,
        rows: int,
        seconds: float,
    ) -> None:
        level = logging.INFO
        if error:
            level = logging.ERROR if isinstance(error, InternalError) else logging.WARNING
        if self.write is None or not access.isEnabledFor(level):
            return
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": logging.getLevelName(level).lower(),
            "logger": access.name,
            "message": _LEVELS[level],
            **identity.logged,
            "span_id": identity.span_id.decode(),
            "principal": principal.name,
            "transport": operation.transport,
            "endpoint": operation.endpoint,
            "route": operation.route,
            "status": status,
            "seconds": round(seconds, 6),
            "rows": rows,
        }
        if error:
            line["error"] = type(error).__name__
        self.write(orjson.dumps(line) + b"\n")
