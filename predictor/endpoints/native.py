"""The native endpoints: ``/stream`` for one record, ``/batch`` for many."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import arrow, csv, json_output, json_rows, json_strict
from predictor.errors import InvalidInput
from predictor.messages import ARROW, CSV, JSON, NDJSON, Request, Response
from predictor.service.inference import InferenceService

_READERS = {JSON: json_rows.instances, CSV: csv.read, ARROW: arrow.read}
_WRITERS: dict[bytes, Callable[[NDArray[np.float64]], bytes]] = {
    JSON: json_output.predictions,
    CSV: csv.write,
    ARROW: arrow.write,
}


def stream(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /stream`` with one instance; a stream of records is answered by the HTTP transport."""
    names = service.handle.require().model.names
    request.headers.require(JSON, NDJSON)
    return _one(service, request, json_rows.instance(request.body, names))


def stream_value(service: InferenceService, value: str, request: Request) -> Response:
    """Answer ``GET /stream/0.5``, or ``GET /stream/[0.5,0.2]`` where there are more features."""
    names = service.handle.require().model.names
    return _one(service, request, json_strict.row(_parsed(value), names, "instance"))


def batch(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /batch``: JSON, CSV or Arrow, and the same type back unless Accept says otherwise."""
    names = service.handle.require().model.names
    media = request.headers.require(*_READERS)
    wanted = request.headers.choose(media, *(kind for kind in _READERS if kind != media))
    X = _READERS[media](request, names, service.handle.check_rows)
    return Response(_WRITERS[wanted](service.predict(request, X)), content_type=wanted, rows=len(X))


def batch_value(service: InferenceService, value: str, request: Request) -> Response:
    """Answer ``GET /batch/[0.5,0.2,0.6]``."""
    names = service.handle.require().model.names
    X = np.array(json_strict.table(_parsed(value), names, "instances"), dtype=np.float64)
    return Response(json_output.predictions(service.predict(request, X)), rows=len(X))


def _one(service: InferenceService, request: Request, row: Any) -> Response:
    try:
        values = service.predict(request, np.array([row], dtype=np.float64))
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("instances[0]", "instance")) from None
    return Response(json_output.prediction(float(values[0])), rows=1)


def _parsed(text: str) -> Any:
    return json_strict.document(text.encode("utf-8", "surrogateescape"))
