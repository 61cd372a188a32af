"""The native endpoints: ``/stream`` for one record, ``/batch`` for many."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import arrow, csv, json_bulk, json_strict
from predictor.messages import ARROW, CSV, JSON, NDJSON, Request, Response
from predictor.service.inference import InferenceService

_WRITERS: dict[bytes, Callable[[NDArray[np.float64]], bytes]] = {
    JSON: json_bulk.predictions,
    CSV: csv.write,
    ARROW: arrow.write,
}


def stream(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /stream`` with one instance; a stream of records is answered by the HTTP transport."""
    width = service.handle.require().scorer.width
    request.headers.require(JSON, NDJSON)
    return _one(service, request, json_bulk.instance(request.body, width))


def stream_value(service: InferenceService, value: str, request: Request) -> Response:
    """Answer ``GET /stream/0.5``, or ``GET /stream/[0.5,0.2]`` where there are more features."""
    width = service.handle.require().scorer.width
    return _one(service, request, json_strict.row(_parsed(value), width, "instance"))


def batch(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /batch``: JSON, CSV or Arrow, and the same type back unless Accept says otherwise."""
    scorer = service.handle.require().scorer
    media = request.headers.require(JSON, CSV, ARROW)
    wanted = request.headers.choose(media, *(kind for kind in (JSON, CSV, ARROW) if kind != media))
    if media == JSON:
        check_commas(service, request.body)
        X = json_bulk.instances(request, scorer.width)
    elif media == CSV:
        X = csv.read(request, scorer.names, service.handle.check_rows)
    else:
        X = arrow.read(request, scorer.names, service.handle.check_rows)
    return Response(_WRITERS[wanted](service.predict(request, X)), content_type=wanted, rows=len(X))


def batch_value(service: InferenceService, value: str, request: Request) -> Response:
    """Answer ``GET /batch/[0.5,0.2,0.6]``."""
    width = service.handle.require().scorer.width
    X = np.array(json_strict.table(_parsed(value), width, "instances"), dtype=np.float64)
    return Response(json_bulk.predictions(service.predict(request, X)), rows=len(X))


def check_commas(service: InferenceService, body: bytes | bytearray, share: int = 1) -> None:
    """Refuse too many rows of JSON by the commas between their numbers, before any is read.

    Only a body that is long enough to hold too many rows is looked at.

    Raises:
        TooLarge: there are too many.
    """
    handle = service.handle
    if len(body) * share > handle.max_rows:
        handle.check_rows(json_bulk.commas(body) // handle.require().scorer.width, share)


def _one(service: InferenceService, request: Request, row: Any) -> Response:
    values = service.predict(request, np.array([row], dtype=np.float64))
    return Response(json_bulk.prediction(float(values[0])), rows=1)


def _parsed(text: str) -> Any:
    return json_strict.document(text.encode("utf-8", "surrogateescape"))
