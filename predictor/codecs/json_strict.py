"""Reading JSON so exactly that an error can say what is wrong and where.

The standard library's parser, with everything it would pass over in silence noticed: duplicate keys, NaN and
Infinity, numbers that a double can't hold. It is the careful reader behind the fast one in ``json_codec``,
and decides whatever that one does not understand at once.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from predictor.errors import InvalidInput

_SHOWN = 40


class Unrepresentable:
    """Stands in a document for a number that is none in a double, until its place is known."""

    def __init__(self, text: str) -> None:
        self.text = text


def document(body: bytes | bytearray, offset: int = 0) -> Any:
    """Parse ``body`` into Python objects; ``offset`` is where it stands in the whole, for the messages.

    Raises:
        InvalidInput: not UTF-8, not JSON, nested without end, or an object with the same key twice.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}"
        ) from error
    if not text.strip():
        raise InvalidInput("the body is empty")
    try:
        return json.loads(
            text,
            parse_float=_float,
            parse_int=_integer,
            parse_constant=Unrepresentable,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error.msg} at character {offset + error.pos}") from error
    except RecursionError as error:
        raise InvalidInput("the body is nested too deeply") from error


def member(document: object, key: str, *, others: bool = False) -> Any:
    """The value of ``key`` in an object that holds nothing else, or ``others`` too.

    Raises:
        InvalidInput: not an object, without the key, or with a key that means nothing here.
    """
    if not isinstance(document, dict):
        raise InvalidInput(f'expected an object {{"{key}": ...}}, got {describe(document)}')
    if key not in document:
        found = f", got {', '.join(shown(name) for name in list(document)[:3])}" if document else ""
        raise InvalidInput(f'the key "{key}" is missing{found}')
    if not others and len(document) > 1:
        unknown = next(name for name in document if name != key)
        raise InvalidInput(f'the key {shown(unknown)} is not known here, only "{key}"')
    return document[key]


def table(value: object, width: int, where: str, first: int = 0) -> list[list[float]]:
    """Read a list of rows, each a list of ``width`` numbers, or a number where the width is 1.

    ``first`` is the number of the first row, for the messages.
    """
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: expected a list of instances, got {describe(value)}")
    if not value and first == 0:
        raise InvalidInput(f"{where}: expected at least one instance, got an empty list")
    return [row(item, width, f"{where}[{first + i}]") for i, item in enumerate(value)]


def row(value: object, width: int, where: str) -> list[float]:
    """Read a list of ``width`` numbers, or a number where the width is 1."""
    if not isinstance(value, list):
        if width == 1:
            return [number(value, where)]
        raise InvalidInput(f"{where}: expected a list of {width} numbers, got {describe(value)}")
    if len(value) != width:
        raise InvalidInput(f"{where}: expected {width} feature{'s' * (width != 1)}, got {len(value)}")
    return [number(item, f"{where}[{i}]") for i, item in enumerate(value)]


def number(value: object, where: str) -> float:
    """Read a number that a double can hold."""
    if isinstance(value, Unrepresentable):
        raise InvalidInput(f"{where}: {value.text[:_SHOWN]} is not a number that a double can hold")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{where}: expected a number, got {describe(value)}")
    return float(value)


def describe(value: object) -> str:
    """Name a JSON value's kind for a message, with a short value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {shown(value)}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case Unrepresentable():
            return value.text[:_SHOWN]
        case _:
            return f"the number {value}"


def shown(text: str) -> str:
    """A string as JSON, cut to a length that a message can bear."""
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


# Python functions rather than float and int themselves: between two calls of one the interpreter can hand
# over its lock, so that even a long reading leaves the event loop alive.
def _float(text: str) -> float | Unrepresentable:
    value = float(text)
    return value if math.isfinite(value) else Unrepresentable(text)


def _integer(text: str) -> float | Unrepresentable:
    return int(text) if len(text) < 20 else _float(text)


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            _refuse_twice(key)
        result[key] = value
    return result


def _refuse_twice(key: str) -> NoReturn:
    raise InvalidInput(f"the key {shown(key)} stands twice in one object")
