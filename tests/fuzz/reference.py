"""What the server must answer, read slowly and by other means than its own."""

import json
import math
from collections.abc import Iterable
from typing import Any

from tests.fuzz.client import Target
from tests.support.models import FEATURES


class _Refused(ValueError):  # noqa: N818  an outcome, not an error
    """The document must be refused."""


def predictions(target: Target, body: bytes, key: str, *, others: bool = False) -> list[float] | None:
    """The predictions for a JSON document, or None where it must be refused."""
    try:
        document = json.loads(
            body.decode(), parse_constant=_constant, parse_float=_number, object_pairs_hook=_object
        )
        if not isinstance(document, dict) or (len(document) > 1 and not others):
            return None
        if others and "inputs" in document:
            key = "" if key in document else "inputs"
        if key not in document:
            return None
        rows = [document[key]] if key == "instance" else document[key]
        if key == "inputs" and isinstance(rows, dict):
            rows = _columns(rows, target.width)
        if not isinstance(rows, list) or not rows:
            return None
        values = [target.predict(_row(row, target.width)) for row in rows]
    except (ValueError, OverflowError, RecursionError):
        return None
    return values if all(map(math.isfinite, values)) else None


def _columns(columns: dict[str, Any], width: int) -> list[Any]:
    names = FEATURES[:width]
    if set(columns) != set(names) or not all(isinstance(columns[name], list) for name in names):
        raise _Refused
    parts = [[_row(value, 1)[0] for value in columns[name]] for name in names]
    return [list(row) for row in zip(*parts, strict=True)]


def _row(row: Any, width: int) -> list[float]:
    if isinstance(row, dict):
        if set(row) != set(FEATURES[:width]):
            raise _Refused
        row = [row[name] for name in FEATURES[:width]]
        if any(isinstance(value, list) for value in row):
            raise _Refused
    values = row if isinstance(row, list) else [row]
    if len(values) != width or (row is not values and width != 1):
        raise _Refused
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise _Refused
    return [_number(str(value)) if isinstance(value, int) else value for value in values]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        # Where it stands decides whether it matters: beside the numbers, in V1, it does not.
        return _Beyond(value)
    return value


class _Beyond(float):
    """A number that no double can hold; it is an error once it is used."""

    def __mul__(self, other: object) -> float:
        raise _Refused

    __rmul__ = __mul__


def _constant(_text: str) -> float:
    return _Beyond("nan")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The last of equal keys counts; a string with half of a surrogate pair is an error anywhere."""
    pairs = list(pairs)
    json.dumps([[name, value] for name, value in pairs], ensure_ascii=False).encode()
    return dict(pairs)
