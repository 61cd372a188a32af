"""The native endpoints: ``/stream`` for one record, ``/batch`` for many.

The query ``?interval=0.9`` asks for intervals that hold the actual values with that probability.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import arrow, csv, json_output, json_rows, json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput
from predictor.messages import ARROW, CSV, JSON, NDJSON, Request, Response
from predictor.service.inference import InferenceService
from predictor.wording import shown

_READERS = {JSON: json_rows.instances, CSV: csv.read, ARROW: arrow.read}
_WRITERS: dict[bytes, Callable[[NDArray[np.float64], float | None], bytes]] = {
    JSON: json_output.predictions,
    CSV: csv.write,
    ARROW: arrow.write,
}


def stream(service: InferenceService, request: Request, *, interval: str = "") -> Response:
    """Answer ``POST /stream`` with one instance; a stream of records is answered by the HTTP transport."""
    inputs = service.handle.require().model.inputs
    request.headers.require(*((JSON,) if interval else (JSON, NDJSON)))
    half_width = _half_width(service, interval)
    return _one(service, request, json_rows.instance(request.body, inputs), half_width)


def stream_value(service: InferenceService, value: str, request: Request, *, interval: str = "") -> Response:
    """Answer ``GET /stream/0.5``, or ``GET /stream/[0.5,0.2]`` where there are more features."""
    inputs = service.handle.require().model.inputs
    half_width = _half_width(service, interval)
    return _one(service, request, json_strict.row(_parsed(value), inputs, "instance"), half_width)


def batch(service: InferenceService, request: Request, *, interval: str = "") -> Response:
    """Answer ``POST /batch``: JSON, CSV or Arrow, and the same type back unless Accept says otherwise."""
    inputs = service.handle.require().model.inputs
    media = request.headers.require(*_READERS)
    wanted = request.headers.choose(media, *(kind for kind in _READERS if kind != media))
    half_width = _half_width(service, interval)
    X = _READERS[media](request, inputs, service.handle.check_rows)
    if half_width is not None:
        require_cheap(len(X), inline=request.inline)
    body = _WRITERS[wanted](service.predict(request, X), half_width)
    return Response(body, content_type=wanted, rows=len(X))


def batch_value(service: InferenceService, value: str, request: Request, *, interval: str = "") -> Response:
    """Answer ``GET /batch/[0.5,0.2,0.6]``."""
    inputs = service.handle.require().model.inputs
    half_width = _half_width(service, interval)
    X = np.array(json_strict.table(_parsed(value), inputs, "instances"), dtype=np.float64)
    return Response(json_output.predictions(service.predict(request, X), half_width), rows=len(X))


def _one(service: InferenceService, request: Request, row: Any, half_width: float | None) -> Response:
    try:
        values = service.predict(request, np.array([row], dtype=np.float64))
    except InvalidInput as error:
        raise type(error)(str(error).replace("instances[0]", "instance")) from None
    return Response(json_output.prediction(float(values[0]), half_width), rows=1)


def _parsed(text: str) -> Any:
    try:
        return json_strict.document(text.encode("utf-8", "surrogateescape"))
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("the body", "the value in the path", 1)) from None


def _half_width(service: InferenceService, interval: str) -> float | None:
    """Return half the width of the intervals that a query asks for; None if it asks for none."""
    if not interval:
        return None
    evaluation = service.handle.require().evaluation
    if evaluation is None:
        raise InvalidInput("interval: it is not known how good this model is on held-out rows")
    try:
        level = float(interval)
    except ValueError:
        raise InvalidInput(f"interval: {shown(interval)} is not a number") from None
    return evaluation.half_width(level)
