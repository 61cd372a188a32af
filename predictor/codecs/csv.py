"""CSV in and out.

Lines of plain numbers are parsed as a JSON array, a piece at a time. A piece with anything else, such as a
blank line, is read field by field; from a quote on, everything is, as a quoted field may hold a line end.
"""

import csv
import io
import math
from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import features, json_bulk, json_output
from predictor.codecs.cost import require_cheap
from predictor.codecs.json_bulk import PIECE
from predictor.codecs.json_document import check_utf8
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.wording import plural, shown

_BOM = b"\xef\xbb\xbf"
_LONGEST_HEADER = 2**14
"""Bytes beside the names of the features."""
_MORE_COLUMNS = 64
"""Columns beyond the features, up to which a header is read for a message."""
_COST = 2
"""A byte of CSV takes as long as so many bytes of JSON, if both are read carefully."""
_NOT_STRUCTURE = b"0123456789+-.eE \t"
_LINE_END_TO_COMMA = bytes.maketrans(b"\n", b",")
_LINES_AT_ONCE = 2**14


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
        TooCostly: it is so unusual that it would take too long on the event loop.
    """
    body, width = bytes(request.body), len(names)
    check_utf8(body)
    lines = _count_lines(body)
    check_rows(lines - 1)
    values, size = np.empty((lines + 1) * width), 0
    order, start = _header(body, 3 if body.startswith(_BOM) else 0, names)
    while start < len(body):
        request.checkpoint()
        end = _cut(body, start)
        piece = body[start:end] if end < len(body) else body[start:].rstrip()
        found = _plain(piece, width)
        if found is None:
            if b'"' in piece:  # a quoted field may go on in the next piece
                end, piece = len(body), body[start:].rstrip()
            require_cheap(_COST * len(piece), inline=request.inline)
            found = _careful(piece, names, 1 + _count_lines(body[:start]), request)
        values[size : size + len(found)] = found
        size, start = size + len(found), end
    if not size:
        raise InvalidInput("the body holds no line of numbers")
    X = values[:size].reshape(-1, width)
    return X if order is None else X[:, order]


def write(values: NDArray[np.float64]) -> bytes:
    """Write predictions of shape (n,), a line each, under the header ``prediction``."""
    return b"prediction\r\n%b\r\n" % json_output.array(values)[1:-1].replace(b",", b"\r\n")


def _header(body: bytes, start: int, names: Sequence[str]) -> tuple[list[int] | None, int]:
    """Return the features' positions if the first line names them, and where the lines of numbers begin."""
    longest = start + _LONGEST_HEADER + sum(len(name.encode()) for name in names)
    end = body.find(b"\n", start, longest)
    end = longest if end < 0 else end
    if body.count(b",", start, end) > len(names) + _MORE_COLUMNS:
        return None, start
    lines = _Lines(body[start:longest])
    try:
        columns = [field.strip() for field in next(csv.reader(lines, strict=True), [])]
    except csv.Error:
        return None, start
    if not columns or any(map(_is_number, columns)):
        return None, start
    return features.order(columns, names, "line 1"), start + lines.size


def _cut(body: bytes, start: int) -> int:
    """Return the end of the lines that fit a piece, or of a line that is longer."""
    if len(body) - start <= PIECE:
        return len(body)
    return body.rfind(b"\n", start, start + PIECE) + 1 or body.find(b"\n", start) + 1 or len(body)


def _count_lines(text: bytes) -> int:
    ends = text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0
    return ends + json_bulk.count(text, b"\n")


def _plain(piece: bytes, width: int) -> NDArray[np.float64] | None:
    """Return the numbers of lines of JSON numbers; None if there is anything else, such as a blank line."""
    text = piece.rstrip(b"\r\n")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    if b"\r" in text or len(text) > PIECE:
        return None
    structure = text.translate(None, _NOT_STRUCTURE)
    line = b"," * (width - 1) + b"\n"
    if structure + b"\n" != line * (structure.count(b"\n") + 1):
        return None
    return json_bulk.numbers(b"".join((b"[", text.translate(_LINE_END_TO_COMMA), b"]")))


def _careful(text: bytes, names: Sequence[str], first: int, request: Request) -> NDArray[np.float64]:
    """Return the numbers of lines, field by field; ``first`` is the number of the first line."""
    values = array("d")
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    while True:
        line, lines.size = first + reader.line_num, 0
        if reader.line_num % _LINES_AT_ONCE == 0:
            request.checkpoint()
        try:
            fields = next(reader)
        except StopIteration:
            return np.array(values)
        except csv.Error as error:
            raise InvalidInput(f"line {line}: {error}") from None
        if len(fields) != len(names):
            if not fields:
                continue
            wanted, got = plural(len(names), "number"), plural(len(fields), "field")
            raise InvalidInput(f"line {line}: expected {wanted}, got {got}")
        for field, name in zip(fields, names, strict=True):
            values.append(_number(field, name, line))


class _Lines:
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


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _number(field: str, name: str, line: int) -> float:
    try:
        value = float(field)
    except ValueError:
        raise InvalidInput(f"line {line}: expected a number for {name}, got {shown(field)}") from None
    if not math.isfinite(value) or "_" in field:
        raise InvalidInput(f"line {line}: {shown(field)} for {name} is not a number that a double can hold")
    return value
