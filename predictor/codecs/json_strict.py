"""The strict JSON reader: Python's own parser, and messages that say what is wrong and where.

It runs on what a faster reader refused. What it accepts after all counts, so that no answer depends on
which reader was asked first.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from predictor.codecs import columns, features, json_document
from predictor.errors import InvalidInput, NotFinite, WrongType
from predictor.model.inputs import Input, Inputs
from predictor.model.text import describe as describe
from predictor.wording import plural, shown

Where = str | tuple[str | int, ...]
"""The place of a value: its text, or its keys and indexes, which become a text when there is an error."""

NUMBERS = frozenset((float, int))
"""The types of a number; a bool is neither."""

_SHOWN = 40
_INT_DIGITS = 20
"""Digits of the longest integers of 64 bits; longer ones are read as doubles."""

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


class Unrepresentable:
    """A number in a document that no double can hold."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def document(body: bytes | bytearray) -> Any:
    """Parse a document into Python objects; the last of several equal keys counts.

    Raises:
        InvalidInput: it is not JSON, not UTF-8, or nested too deeply.
    """
    return parse(json_document.whole(body))


def parse(text: bytes) -> Any:
    """Parse JSON that is known to be valid into Python objects.

    Raises:
        InvalidInput: it is nested too deeply.
    """
    try:
        return DECODER.decode(text.decode())
    except RecursionError:
        raise InvalidInput(json_document.TOO_DEEP) from None


def member(document: object, key: str) -> Any:
    """Return the value of ``key`` in an object that has no other keys.

    Raises:
        InvalidInput: it is not an object, or has other keys.
    """
    if not isinstance(document, dict):
        raise InvalidInput(f'expected an object {{"{key}": ...}}, got {describe(document)}')
    if unknown := next((name for name in document if name != key), None):
        raise InvalidInput(f'unknown key {shown(unknown)}; use "{key}"')
    if key not in document:
        raise InvalidInput(f'the key "{key}" is missing')
    return document[key]


def table(value: object, inputs: Inputs, where: str) -> list[Sequence[float]]:
    """Return the rows in a list of at least one.

    Raises:
        InvalidInput: it is something else, or a row is malformed.
    """
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: expected a list, got {describe(value)}")
    if not value:
        raise InvalidInput(f"{where}: expected at least one instance, got an empty list")
    return [row(item, inputs, (where, i)) for i, item in enumerate(value)]


def row(value: object, inputs: Inputs, where: Where) -> Sequence[float]:
    """Return the numbers of a row: a list, an object by feature name, or a value for a single feature.

    Further members of an object are passed over.

    Raises:
        InvalidInput: it is something else; the message says what and where.
    """
    names = inputs.names
    if isinstance(value, dict):
        features.order(list(value), names, place(where), further=True)
        items: list[Any] = [value[name] for name in names]
    elif isinstance(value, list):
        items = value
    elif len(names) == 1:
        items = [value]
    else:
        wanted = f"a list of {len(names)} {'numbers' if inputs.plain else 'values'}"
        raise InvalidInput(f"{place(where)}: expected {wanted}, got {describe(value)}")
    if len(items) != len(names):
        wanted = plural(len(names), "feature")
        raise InvalidInput(f"{place(where)}: expected {wanted}, got {len(items)}")
    if inputs.plain and NUMBERS.issuperset(map(type, items)):
        return items

    def inside(i: int) -> str:
        inner = f".{names[i]}" if isinstance(value, dict) else f"[{i}]" * isinstance(value, list)
        return place(where) + inner

    return [
        of_input(one, item, partial(inside, i))
        for i, (item, one) in enumerate(zip(items, inputs, strict=True))
    ]


def of_input(one: Input, value: object, where: Callable[[], str]) -> float:
    """Return the number of an input's value.

    Raises:
        InvalidInput: it is no such value; the message begins with its place.
    """
    if one.type == "number" and type(value) in NUMBERS:
        return float(value)  # type: ignore[arg-type]  # mypy can't know what the set holds
    if (one.type == "number" and (value is not None or one.plain)) or isinstance(value, Unrepresentable):
        return number(value, where())
    try:
        return columns.values_of(one)[value]
    except (InvalidInput, TypeError):  # a list or an object is no key
        return one.number(value, where())


def number(value: object, where: Where) -> float:
    """Return a number that a double can hold.

    Raises:
        InvalidInput: it is something else.
    """
    if type(value) in NUMBERS:
        return float(value)  # type: ignore[arg-type]  # mypy can't know what the set holds
    text = value.text if isinstance(value, Unrepresentable) else value
    if isinstance(value, Unrepresentable) or text in _NOT_FINITE:
        raise NotFinite(f"{place(where)}: {text[:_SHOWN]} is not a number that a double can hold")  # type: ignore[index]
    raise WrongType(f"{place(where)}: expected a number, got {describe(value)}")


def nested(element: object, where: Where) -> Iterator[tuple[Any, Where]]:
    """Yield what is no list in lists that are nested in any way, with its place."""
    if not isinstance(element, list):
        yield element, where
        return
    for i, item in enumerate(element):
        yield from nested(item, (place(where), i))


def place(where: Where) -> str:
    """Return a place as a text, such as ``instances[3][0]``."""
    if isinstance(where, str):
        return where
    return "".join(f"[{part}]" if isinstance(part, int) else part for part in where)


def _float(text: str) -> float | Unrepresentable:
    value = float(text)
    return value if math.isfinite(value) else Unrepresentable(text)


def _integer(text: str) -> float | Unrepresentable:
    return int(text) if len(text) <= _INT_DIGITS else _float(text)


DECODER = json.JSONDecoder(parse_float=_float, parse_int=_integer)
"""Its functions are Python's, so that other threads can run between two numbers."""
