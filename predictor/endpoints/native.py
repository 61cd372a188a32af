"""The hot requests as pure functions: from the head and the body of a request to its answer."""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import arrow, csv, json_bulk, json_strict
from predictor.errors import InvalidInput
from predictor.messages import ARROW, CSV, JSON, NDJSON, RequestHeaders, Response
from predictor.model.handle import ModelHandle
from predictor.model.scorer import Scorer

_EXPLAINED_AT_ONCE = 4096

_WRITERS = {JSON: json_bulk.predictions, CSV: csv.write, ARROW: arrow.write}


def stream(served: ModelHandle, head: RequestHeaders, body: bytes | bytearray) -> Response:
    """Answer ``POST /stream`` with one instance; records a line each are answered in ``asgi``."""
    scorer = served.require().scorer
    head.require(JSON, NDJSON)
    value = _one(scorer, json_bulk.instance(body, scorer.width), "instance")
    return Response(json_bulk.prediction(value), rows=1)


def batch(served: ModelHandle, head: RequestHeaders, body: bytes | bytearray) -> Response:
    """Answer ``POST /batch``: JSON, CSV or Arrow, and the same kind back unless Accept says otherwise."""
    scorer = served.require().scorer
    media = head.require(JSON, CSV, ARROW)
    wanted = head.choose(media, *(kind for kind in (JSON, CSV, ARROW) if kind != media))
    if media == wanted == JSON:
        return _predict(served, body, others=False)
    if media == JSON:
        _bound(served, body)
        X = json_bulk.instances(body, scorer.width)
    elif media == CSV:
        if len(body) > served.max_rows:
            served.bound(body.count(b"\n") + body.count(b"\r") - body.count(b"\r\n") - 1)
        X = csv.read(body, scorer.names)
    else:
        X = arrow.read(body, scorer.names, served.bound)
    return Response(_WRITERS[wanted](scorer.rows(X)), content_type=wanted, rows=len(X))


def predict(served: ModelHandle, head: RequestHeaders, body: bytes | bytearray) -> Response:
    """Answer ``POST /v1/models/M:predict``."""
    head.require(JSON)
    return _predict(served, body, others=True)


def explain(served: ModelHandle, head: RequestHeaders, body: bytes | bytearray) -> Response:
    """Answer ``POST /v1/models/M:explain`` with what each feature adds to each prediction."""
    scorer = served.require().scorer
    head.require(JSON)
    _bound(served, body, share=10)
    X = json_bulk.instances(body, scorer.width, others=True)
    scorer.rows(X)  # so that an error names the row among all
    parts = [
        orjson.dumps(explanations(scorer, X[start : start + _EXPLAINED_AT_ONCE]))[1:-1]
        for start in range(0, len(X), _EXPLAINED_AT_ONCE)
    ]
    return Response(b'{"explanations":[%b]}' % b",".join(parts), rows=len(X))


def explanations(scorer: Scorer, X: NDArray[np.float64]) -> list[dict[str, Any]]:
    """For each row the prediction, and the intercept and contributions that add up to it."""
    contributions = scorer.contributions(X).tolist()
    return [
        {
            "prediction": prediction,
            "intercept": scorer.intercept,
            "contributions": dict(zip(scorer.names, row, strict=True)),
        }
        for prediction, row in zip(scorer.rows(X).tolist(), contributions, strict=True)
    ]


def stream_value(served: ModelHandle, value: str) -> Response:
    """Answer ``GET /stream/0.5``, or ``GET /stream/[0.5,0.2]`` where there are more features."""
    scorer = served.require().scorer
    found = json_strict.row(_value(value), scorer.width, "instance")
    return Response(json_bulk.prediction(_one(scorer, found, "instance")), rows=1)


def batch_value(served: ModelHandle, value: str) -> Response:
    """Answer ``GET /batch/[0.5,0.2,0.6]``."""
    scorer = served.require().scorer
    found = json_strict.table(_value(value), scorer.width, "instances")
    return Response(json_bulk.predictions(scorer.rows(np.array(found, dtype=np.float64))), rows=len(found))


def _predict(served: ModelHandle, body: bytes | bytearray, *, others: bool) -> Response:
    scorer = served.require().scorer
    if few := json_bulk.few(body, scorer.width):
        values = [_one(scorer, row, f"instances[{i}]") for i, row in enumerate(few)]
        return Response(json_bulk.predictions(values), rows=len(values))
    _bound(served, body)
    X = json_bulk.instances(body, scorer.width, others=others)
    return Response(json_bulk.predictions(scorer.rows(X)), rows=len(X))


def _one(scorer: Scorer, row: Any, where: str) -> float:
    value = scorer.row(row)
    if value - value != 0:  # cheaper than a call of isfinite, and true of infinities and NaN alone
        raise InvalidInput(f"{where}: the prediction is beyond the range of a double")
    return value


def _bound(served: ModelHandle, body: bytes | bytearray, share: int = 1) -> None:
    """Refuse too many rows of JSON by the commas between their numbers, before any is read.

    Only a body that is long enough to hold too many is looked at.
    """
    if len(body) * share > served.max_rows:
        served.bound(json_bulk.commas(body) // served.require().scorer.width, share)


def _value(text: str) -> Any:
    return json_strict.document(text.encode("utf-8", "surrogateescape"))
