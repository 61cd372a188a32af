"""The first line of CSV: the separator of its fields, whether it is a header, and where the features are."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from predictor.codecs import features
from predictor.codecs.json_bulk import PIECE
from predictor.errors import InvalidInput
from predictor.model.inputs import Inputs
from predictor.model.text import SEPARATORS, is_number

_LONGEST_HEADER = 2**14
"""Bytes beside the names of the features."""
_MORE_COLUMNS = 1024
"""Columns beyond the features, up to which a header is read."""


class Layout(NamedTuple):
    """Where the features are in a line.

    Attributes:
        width: the fields of a line.
        positions: of the features among them, in the model's order; None if they are all and in this order.
        separator: of the fields.
    """

    width: int
    positions: list[int] | None = None
    separator: str = ","


def find(body: bytes, start: int, inputs: Inputs) -> tuple[Layout, int]:
    """Return where the features are in a line, and where the lines of values begin.

    The separator is a comma if the first line names all features with it, or has a value for each. Otherwise
    it is the one that finds most of the features, or else most fields, as in training.

    Raises:
        InvalidInput: a header lacks a feature, or has one twice.
    """
    longest = start + _LONGEST_HEADER + sum(len(name.encode()) for name in inputs.names)
    end = body.find(b"\n", start, longest)
    end = longest if end < 0 else end
    if body.count(b",", start, end) > inputs.width + _MORE_COLUMNS:
        return Layout(inputs.width), start
    text = body[start:longest]
    separator, (names, size) = ",", _first_line(text, ",")
    is_header = _is_header(names, inputs)
    if names and not (set(inputs.names).issubset(names) if is_header else len(names) == inputs.width):
        separator, names, size = _separated(text, inputs)
        is_header = _is_header(names, inputs)
    if not names or not is_header:
        return Layout(inputs.width, separator=separator), start
    positions = features.order(names, inputs.names, "line 1", further=True)
    in_order = positions == list(range(len(names)))
    return Layout(len(names), None if in_order else positions, separator), start + size


def error_in(fields: Sequence[str], inputs: Inputs, line: int) -> InvalidInput | None:
    """Return what is wrong with the first cell that is."""
    for one, field in zip(inputs, fields, strict=True):
        try:
            one.parse(field, "")
        except InvalidInput as error:  # to write the place takes longer than to read a field
            return type(error)(f"line {line}, {one.name}{error}")
    return None


def _first_line(text: bytes, separator: str) -> tuple[list[str], int]:
    """Return the fields of the first line, and its length in bytes; no field if it is malformed."""
    lines = Lines(text)
    try:
        fields = next(csv.reader(lines, strict=True, delimiter=separator), [])
    except csv.Error:
        return [], 0
    return [field.strip() for field in fields], lines.size


def _separated(text: bytes, inputs: Inputs) -> tuple[str, list[str], int]:
    """Return the separator that suits the first line best, the fields and the length in bytes."""

    def suits(found: tuple[str, list[str], int]) -> tuple[int, int]:
        return len(set(inputs.names).intersection(found[1])), len(found[1])

    return max(((one, *_first_line(text, one)) for one in SEPARATORS), key=suits)


def _is_header(fields: list[str], inputs: Inputs) -> bool:
    numbers = sum(map(is_number, fields))
    if numbers:  # the names of further columns may be numbers
        return numbers < len(fields) and set(inputs.names).issubset(fields)
    if inputs.plain or not set(inputs.names).isdisjoint(fields):
        return True
    return len(fields) != inputs.width or error_in(fields, inputs, 1) is not None


class Lines:
    """The lines of a text for Python's reader, with a bound for those of one row.

    Attributes:
        size: bytes that were read since it was set to 0.
    """

    def __init__(self, text: bytes) -> None:
        self.size = 0
        # A text that was cut ends with half a character at worst.
        self._lines = io.TextIOWrapper(io.BytesIO(text), "utf-8", errors="ignore", newline="")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.size += len(line) if line.isascii() else len(line.encode())
        if self.size > PIECE:
            raise csv.Error(f"longer than {PIECE} bytes")
        return line
