"""``POST /feedback``: the ground truth of earlier predictions, by the ids of their requests.

A principal labels its own predictions. With the scope ``feedback:all`` it labels those of all principals, or
of one whom the label names. So a client that may only predict can't change which rows others' labels are for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from predictor.codecs import json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import Forbidden, InvalidInput, NotFound, Overloaded
from predictor.feedback.recorder import LAST_ROW, MAX_LABELS, MAX_PRINCIPAL, GroundTruth
from predictor.identity import is_plain_id
from predictor.messages import JSON, Principal, Request, Response
from predictor.service.auth import LABEL_ALL
from predictor.service.inference import InferenceService


def record(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /feedback`` with the number of labelled rows, once they are stored.

    Raises:
        InvalidInput: the body is malformed.
        Forbidden: a label is of another principal's predictions, without the scope for that.
        NotFound: this server records no feedback.
        Overloaded: too much waits to be stored.
    """
    if service.recorder is None:
        raise NotFound("feedback is not enabled; set PREDICTOR_FEEDBACK_URL")
    request.headers.require(JSON)
    require_cheap(len(request.body), inline=request.inline)
    labels = read(request.body, request.checkpoint)
    if LABEL_ALL not in request.principal.scopes:
        labels = [_own(label, request.principal) for label in labels]
    name, trace = request.principal.name, request.identity.trace_id.decode()
    stored = service.recorder.record_ground_truth(name, labels, request.id, trace)
    if stored is None:
        raise Overloaded("too much feedback is waiting to be stored", retry_after=5)
    return Response.of({"stored": sum(len(label.targets) for label in labels)})._replace(stored=stored)


def read(body: bytes | bytearray, checkpoint: Callable[[], None] = lambda: None) -> list[GroundTruth]:
    """Read ``{"id": ..., "target": y}``, ``{"id": ..., "targets": [...]}``, or ``{"feedback": [...]}``.

    ``row`` next to an id is the index of the first labelled row in that request; it defaults to 0.
    ``principal`` is who made that request.

    Args:
        body: the JSON document.
        checkpoint: runs between labels, and may raise an error to stop.

    Raises:
        InvalidInput: the body is something else; the message says where.
    """
    document = json_strict.document(body)
    if not isinstance(document, dict) or "feedback" not in document:
        return [_label(document, "the body")]
    items = json_strict.member(document, "feedback")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_LABELS:
        found = json_strict.describe(items)
        raise InvalidInput(f"feedback: expected a list of 1 to {MAX_LABELS} labels, got {found}")
    labels = []
    for i, item in enumerate(items):
        checkpoint()
        labels.append(_label(item, f"feedback[{i}]"))
    return labels


def _own(label: GroundTruth, principal: Principal) -> GroundTruth:
    """Restrict a label to a principal's own predictions."""
    if label.principal not in (None, principal.name):
        raise Forbidden(f'to label the predictions of others, this credential lacks the scope "{LABEL_ALL}"')
    return label._replace(principal=principal.name)


def _label(item: Any, where: str) -> GroundTruth:
    if not isinstance(item, dict):
        found = json_strict.describe(item)
        raise InvalidInput(f'{where}: expected an object {{"id": ..., "target": ...}}, got {found}')
    name = item.get("id")
    if not isinstance(name, str) or not is_plain_id(name):
        raise InvalidInput(f"{where}: id: expected the id of a request, from its response")
    first = json_strict.number(item.get("row", 0), f"{where}: row")
    if not (first.is_integer() and 0 <= first <= LAST_ROW):
        raise InvalidInput(f"{where}: row: expected an integer from 0 to {LAST_ROW}, got {first:g}")
    return GroundTruth(name, _targets(item, where), int(first), _principal(item, where))


def _principal(item: dict[str, Any], where: str) -> str | None:
    """Return the name of who made the request; None if it is not given."""
    if "principal" not in item:
        return None
    value = item["principal"]
    if isinstance(value, str) and 0 < len(value) <= MAX_PRINCIPAL:
        return value
    found = json_strict.describe(value)
    raise InvalidInput(f"{where}: principal: expected a name of 1 to {MAX_PRINCIPAL} characters, got {found}")


def _targets(item: dict[str, Any], where: str) -> Sequence[float]:
    keys = set(item) - {"id", "row", "principal"}
    if keys == {"target"}:
        return (json_strict.number(item["target"], f"{where}: target"),)
    if keys == {"targets"} and isinstance(item["targets"], list) and item["targets"]:
        place = f"{where}: targets"
        return [json_strict.number(value, (place, i)) for i, value in enumerate(item["targets"])]
    raise InvalidInput(
        f'{where}: expected "target" (a number) or "targets" (a list of numbers) with the "id"'
    )
