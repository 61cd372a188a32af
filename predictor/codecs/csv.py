"""CSV in and out.

Lines of plain numbers become the rows of a JSON array, which is parsed a piece at a time as any other; only
what that does not understand is read field by field.
"""

import csv
import io
import math
from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import json_bulk, json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput
from predictor.messages import Request

_SHOWN = 40


def read(
    request: Request, names: Sequence[str], check_rows: Callable[[int], None] = lambda _rows: None
) -> NDArray[np.float64]:
    """Read lines of numbers, comma-separated, into shape (n, d).

    A first line without a number is a header: then the columns are the features by name, in any order, and
    other columns are an error. Without a header they are the features in the model's order.

    Args:
        request: whose body is read.
        names: the features of the model.
        check_rows: is called with a number of rows that there are at least, before they are read; it raises
            if they are too many.

    Raises:
        InvalidInput: anything else; it names the line.
    """
    body = request.body
    check_rows(body.count(b"\n") + body.count(b"\r") - body.count(b"\r\n") - 1)
    order, start = _header(body, names)
    X = _plain(body, start, len(names))
    if X is None:
        require_cheap(len(body), inline=request.inline)
        X = _careful(body, start, names)
    return X if order is None else X[:, order]


def write(values: NDArray[np.float64]) -> bytes:
    """Write predictions of shape (n,), a line each, under the header ``prediction``."""
    return b"prediction\r\n%b\r\n" % json_bulk.array(values)[1:-1].replace(b",", b"\r\n")


def _header(body: bytes | bytearray, names: Sequence[str]) -> tuple[list[int] | None, int]:
    """Where the features are among the columns, if the first line names them, and where numbers begin."""
    end = _first_line(body)
    first = next(_fields(body[:end], 1), [])
    # One more than there are features tells all: a line can hold millions.
    columns = [field.strip() for field in first[: len(names) + 1]]
    if not first or any(map(_is_number, columns)):
        return None, 0
    if unknown := [column for column in columns if column not in names]:
        raise InvalidInput(f"line 1: the column {json_strict.shown(unknown[0])} is no feature of this model")
    if missing := [name for name in names if name not in columns]:
        raise InvalidInput(f"line 1: the feature {missing[0]} is missing")
    if len(columns) > len(names):
        raise InvalidInput("line 1: a column stands twice")
    return [columns.index(name) for name in names], end


def _first_line(body: bytes | bytearray) -> int:
    """Return the length of the first line with its end: LF, CR LF or CR."""
    end = body.find(b"\n") + 1 or len(body)
    carriage = body.find(b"\r", 0, end) + 1
    return end if not carriage or body[carriage:end] == b"\n" else carriage


def _plain(body: bytes | bytearray, start: int, width: int) -> NDArray[np.float64] | None:
    """Parse lines of JSON numbers; None where anything else is among them, a blank line or a quote say."""
    text = bytes(body[start:]).rstrip()
    if not text or any(mark in text for mark in (b"[", b"]", b'"')):
        return None
    rows = b"[%b]" % text.replace(b"\r\n", b"\n").replace(b"\n", b"],[")
    try:
        return json_bulk.rows(rows, 0, len(rows), width, "instances")
    except InvalidInput:
        return None


def _careful(body: bytes | bytearray, start: int, names: Sequence[str]) -> NDArray[np.float64]:
    first = 1 if start == 0 else 2
    values = array("d")
    for line, fields in enumerate(_fields(body[start:], first), start=first):
        if not fields:
            continue
        if len(fields) != len(names):
            wanted = f"{len(names)} number{'s' * (len(names) != 1)}"
            raise InvalidInput(f"line {line}: expected {wanted}, got {len(fields)} fields")
        values.extend(_number(field, name, line) for field, name in zip(fields, names, strict=True))
    if not values:
        raise InvalidInput("the body holds no line of numbers")
    return np.array(values, dtype=np.float64).reshape(-1, len(names))


def _fields(body: bytes | bytearray, first: int) -> Iterator[list[str]]:
    """The fields of each line; ``first`` is the number of the first line, for the messages."""
    text = io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        yield from reader
    except UnicodeDecodeError:
        raise InvalidInput(f"the body is not UTF-8: byte {_first_wrong(body)}") from None
    except csv.Error as error:
        raise InvalidInput(f"line {first + max(reader.line_num, 1) - 1}: {error}") from error


def _first_wrong(body: bytes | bytearray) -> int:
    """Where a body stops being UTF-8: what reads it in pieces counts from the beginning of the piece."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(body)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _number(field: str, name: str, line: int) -> float:
    shown = json_strict.shown(field[:_SHOWN])
    try:
        value = float(field)
    except ValueError:
        raise InvalidInput(f"line {line}: expected a number for {name}, got {shown}") from None
    if not math.isfinite(value) or "_" in field:
        raise InvalidInput(f"line {line}: {shown} for {name} is not a number that a double can hold")
    return value
