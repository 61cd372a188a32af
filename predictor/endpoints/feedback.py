"""What came true: the bodies of ``POST /feedback``, and the ids that tie them to what was predicted."""

import os
import re
from typing import Any

from predictor.codecs import json_strict
from predictor.errors import InvalidInput
from predictor.feedback.recorder import GroundTruth

_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_MANY = 100_000
LAST_ROW = 2**53 - 1


def request_id(given: bytes | str | None) -> str:
    """The id of a request: the client's own where it is short and plain, else a random one."""
    text = given.decode("latin-1") if isinstance(given, bytes) else given
    return text if text and _ID.fullmatch(text) else os.urandom(16).hex()


def read(body: bytes | bytearray) -> list[GroundTruth]:
    """Read ``{"id": ..., "target": y}``, ``{"id": ..., "targets": [...]}``, or ``{"feedback": [...]}``.

    Beside an id a ``row`` may say for which row of the request, from 0, the first value is.

    Raises:
        InvalidInput: it is none of these.
    """
    document = json_strict.document(body)
    if isinstance(document, dict) and "feedback" in document:
        items = json_strict.member(document, "feedback")
        if not isinstance(items, list) or not 0 < len(items) <= _MANY:
            raise InvalidInput(
                f"feedback: expected a list of 1 to {_MANY}, got {json_strict.describe(items)}"
            )
        return [_truth(item, f"feedback[{i}]") for i, item in enumerate(items)]
    return [_truth(document, "the body")]


def _truth(item: Any, where: str) -> GroundTruth:
    if not isinstance(item, dict):
        raise InvalidInput(
            f'{where}: expected an object {{"id": ..., "target": ...}}, got {json_strict.describe(item)}'
        )
    name = item.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise InvalidInput(f"{where}: id: expected the id of a request, as its answer gave it")
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
