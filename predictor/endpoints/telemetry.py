"""What is logged and traced, read and changed by an administrator while the server runs."""

import logging
import math
from typing import Any

from predictor.codecs import json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import Conflict, InvalidInput
from predictor.messages import JSON, Request, Response
from predictor.observability import logs
from predictor.service.inference import InferenceService
from predictor.settings import LOG_LEVELS

_RATIOS = ("log_ratio", "trace_ratio")

audit = logging.getLogger("predictor.audit")


def show(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /telemetry`` with the level of the log and the shares of requests."""
    return Response.of(_values(service))


def change(service: InferenceService, request: Request) -> Response:
    """Answer ``PATCH /telemetry``: change the values in the body, until the process ends.

    Raises:
        Conflict: it has a ratio of traces, and tracing is off; nothing is changed.
        InvalidInput: the body is malformed; nothing is changed.
    """
    request.headers.require(JSON)
    require_cheap(len(request.body), inline=request.inline)
    changes = _read(json_strict.document(request.body), tracing=service.telemetry.trace_ratio is not None)
    if "log_level" in changes:
        logs.set_level(changes["log_level"])
    for name in _RATIOS:
        if name in changes:
            setattr(service.telemetry, name, changes[name])
    service.telemetry.refresh()
    # A warning, so that it is written at nearly every level.
    audit.warning("telemetry changed", extra={"principal": request.principal.name, **changes})
    return Response.of(_values(service))


def _values(service: InferenceService) -> dict[str, Any]:
    telemetry = service.telemetry
    return {
        "log_level": logs.current_level(),
        "log_ratio": telemetry.log_ratio,
        "trace_ratio": telemetry.trace_ratio,
    }


def _read(document: Any, *, tracing: bool) -> dict[str, Any]:
    names = ("log_level", *_RATIOS)
    if not isinstance(document, dict) or not document or not set(document) <= set(names):
        raise InvalidInput(f"expected an object with some of {', '.join(names)}")
    if "log_level" in document and document["log_level"] not in LOG_LEVELS:
        raise InvalidInput(f"log_level: expected one of {', '.join(LOG_LEVELS)}")
    if "trace_ratio" in document and not tracing:
        raise Conflict("trace_ratio: tracing is off; set OTEL_EXPORTER_OTLP_ENDPOINT")
    for name in _RATIOS:
        if name in document:
            document[name] = json_strict.number(document[name], name)
            if not (math.isfinite(document[name]) and 0 <= document[name] <= 1):
                raise InvalidInput(f"{name}: expected a number from 0 to 1")
    return document
