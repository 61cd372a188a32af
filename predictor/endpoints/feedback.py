"""``POST /feedback``: the ground truth of earlier predictions, by the ids of their requests."""

from typing import Any

from predictor.codecs import json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput, NotFound, Overloaded
from predictor.feedback.recorder import LAST_ROW, GroundTruth
from predictor.messages import JSON, Request, Response, is_plain_id
from predictor.service.inference import InferenceService

_LIMIT = 100_000


def record(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /feedback``, once what it holds is stored.

    Raises:
        NotFound: no feedback is kept here.
        Overloaded: too much waits to be stored.
    """
    if service.recorder is None:
        raise NotFound("feedback is off: no feedback_url is set")
    request.headers.require(JSON)
    require_cheap(len(request.body), inline=request.inline)
    labels = read(request.body)
    stored = service.recorder.record_ground_truth(labels)
    if stored is None:
        raise Overloaded("too much feedback waits to be stored", retry_after=5)
    count = sum(len(label.targets) for label in labels)
    return Response.of({"stored": count})._replace(stored=stored)


def read(body: bytes | bytearray) -> list[GroundTruth]:
    """Read ``{"id": ..., "target": y}``, ``{"id": ..., "targets": [...]}``, or ``{"feedback": [...]}``.

    Beside an id, ``row`` may say which row of the request the first value is for, from 0.

    Raises:
        InvalidInput: it is none of these.
    """
    document = json_strict.document(body)
    if not isinstance(document, dict) or "feedback" not in document:
        return [_label(document, "the body")]
    items = json_strict.member(document, "feedback")
    if not isinstance(items, list) or not 0 < len(items) <= _LIMIT:
        raise InvalidInput(f"feedback: expected a list of 1 to {_LIMIT}, got {json_strict.describe(items)}")
    return [_label(item, f"feedback[{i}]") for i, item in enumerate(items)]


def _label(item: Any, where: str) -> GroundTruth:
    if not isinstance(item, dict):
        raise InvalidInput(
            f'{where}: expected an object {{"id": ..., "target": ...}}, got {json_strict.describe(item)}'
        )
    name = item.get("id")
    if not isinstance(name, str) or not is_plain_id(name):
        raise InvalidInput(f"{where}: id: expected the id of a request, as its response gave it")
    first = json_strict.number(item.get("row", 0.0), f"{where}: row")
    if not (first.is_integer() and 0 <= first <= LAST_ROW):
        raise InvalidInput(f"{where}: row: expected an integer from 0, got {first:g}")
    keys = set(item) - {"id", "row"}
    if keys == {"target"}:
        return GroundTruth(name, (json_strict.number(item["target"], f"{where}: target"),), int(first))
    if keys == {"targets"} and isinstance(item["targets"], list) and item["targets"]:
        numbered = enumerate(item["targets"])
        targets = [json_strict.number(value, f"{where}: targets[{i}]") for i, value in numbered]
        return GroundTruth(name, targets, int(first))
    raise InvalidInput(f'{where}: expected "target", a number, or "targets", a list of numbers, beside "id"')
