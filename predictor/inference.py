"""The hot requests as pure functions: from the head and the body of a request to its answer."""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor import arrow_codec, csv_codec, json_codec, json_exact
from predictor.answer import ARROW, CSV, JSON, NDJSON, Answer, Head
from predictor.errors import InvalidInput
from predictor.scorer import Scorer
from predictor.served import Served

_EXPLAINED_AT_ONCE = 4096

_WRITERS = {JSON: json_codec.predictions, CSV: csv_codec.write, ARROW: arrow_codec.write}


def stream(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer ``POST /stream`` with one instance; records a line each are answered in ``asgi``."""
    scorer = served.require().scorer
    head.require(JSON, NDJSON)
    value = _one(scorer, json_codec.instance(body, scorer.width), "instance")
    return Answer(json_codec.prediction(value), rows=1)


def batch(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer ``POST /batch``: JSON, CSV or Arrow, and the same kind back unless Accept says otherwise."""
    scorer = served.require().scorer
    media = head.require(JSON, CSV, ARROW)
    wanted = head.choose(media, *(kind for kind in (JSON, CSV, ARROW) if kind != media))
    if media == wanted == JSON:
        return _predict(served, body, others=False)
    if media == JSON:
        _bound(served, body)
        X = json_codec.instances(body, scorer.width)
    elif media == CSV:
        if len(body) > served.max_rows:
            served.bound(body.count(b"\n") + body.count(b"\r") - body.count(b"\r\n") - 1)
        X = csv_codec.read(body, scorer.names)
    else:
        X = arrow_codec.read(body, scorer.names, served.bound)
    return Answer(_WRITERS[wanted](scorer.rows(X)), content_type=wanted, rows=len(X))


def predict(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer ``POST /v1/models/M:predict``."""
    head.require(JSON)
    return _predict(served, body, others=True)


def explain(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer ``POST /v1/models/M:explain`` with what each feature adds to each prediction."""
    scorer = served.require().scorer
    head.require(JSON)
    _bound(served, body, share=10)
    X = json_codec.instances(body, scorer.width, others=True)
    scorer.rows(X)  # so that an error names the row among all
    parts = [
        orjson.dumps(explanations(scorer, X[start : start + _EXPLAINED_AT_ONCE]))[1:-1]
        for start in range(0, len(X), _EXPLAINED_AT_ONCE)
    ]
    return Answer(b'{"explanations":[%b]}' % b",".join(parts), rows=len(X))


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


def stream_value(served: Served, value: str) -> Answer:
    """Answer ``GET /stream/0.5``, or ``GET /stream/[0.5,0.2]`` where there are more features."""
    scorer = served.require().scorer
    found = json_exact.row(_value(value), scorer.width, "instance")
    return Answer(json_codec.prediction(_one(scorer, found, "instance")), rows=1)


def batch_value(served: Served, value: str) -> Answer:
    """Answer ``GET /batch/[0.5,0.2,0.6]``."""
    scorer = served.require().scorer
    found = json_exact.table(_value(value), scorer.width, "instances")
    return Answer(json_codec.predictions(scorer.rows(np.array(found, dtype=np.float64))), rows=len(found))


def _predict(served: Served, body: bytes | bytearray, *, others: bool) -> Answer:
    scorer = served.require().scorer
    if few := json_codec.few(body, scorer.width):
        values = [_one(scorer, row, f"instances[{i}]") for i, row in enumerate(few)]
        return Answer(json_codec.predictions(values), rows=len(values))
    _bound(served, body)
    X = json_codec.instances(body, scorer.width, others=others)
    return Answer(json_codec.predictions(scorer.rows(X)), rows=len(X))


def _one(scorer: Scorer, row: Any, where: str) -> float:
    value = scorer.row(row)
    if value - value != 0:  # cheaper than a call of isfinite, and true of infinities and NaN alone
        raise InvalidInput(f"{where}: the prediction is beyond the range of a double")
    return value


def _bound(served: Served, body: bytes | bytearray, share: int = 1) -> None:
    """Refuse too many rows of JSON by the commas between their numbers, before any is read.

    Only a body that is long enough to hold too many is looked at.
    """
    if len(body) * share > served.max_rows:
        served.bound(json_codec.commas(body) // served.require().scorer.width, share)


def _value(text: str) -> Any:
    return json_exact.document(text.encode("utf-8", "surrogateescape"))
