"""CSV in and out.

Lines of plain numbers are parsed as a JSON array, a piece at a time. A piece with other values is split at
its commas and line ends. A piece with anything else, such as a blank line or a value that is wrong, is left
to Python's reader; from a quote on, everything is, as a quoted field may hold a line end. Another separator
is replaced by commas if the text has neither commas nor quotes; otherwise Python's reader takes all of it.
"""

import csv
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import columns, csv_header, json_bulk, json_output
from predictor.codecs.cost import require_cheap
from predictor.codecs.csv_header import Layout, Lines, error_in
from predictor.codecs.json_bulk import PIECE
from predictor.codecs.json_document import check_utf8
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from predictor.wording import plural

_BOM = b"\xef\xbb\xbf"
_NOT_STRUCTURE = b"0123456789+-.eE \t"
_LINE_END_TO_COMMA = bytes.maketrans(b"\n", b",")
_FIELDS_AT_ONCE = 2**14
_SPLIT = 2
"""Splitting a byte takes half the time of reading it carefully."""
_COST = 4
"""A byte that is read field by field takes as long as so many bytes of JSON."""


def read(
    request: Request, inputs: Inputs, check_rows: Callable[[int], None] = lambda _rows: None
) -> NDArray[np.float64]:
    """Read lines of values into shape (n, d), separated by commas or what else the first line shows.

    A header names the features in any order, and may name further columns, which are passed over. Without
    one the columns are the features in the model's order. A first line without a number is a header; where
    a model has other inputs than numbers, it is none if it names no feature and is a valid row.

    Args:
        request: whose body is read.
        inputs: the inputs of the model.
        check_rows: is called with a number of rows that there are at least, before they are read; it raises
            if they are too many.

    Raises:
        InvalidInput: anything else; it names the line.
        TooCostly: it is so unusual that it would take too long on the event loop.
    """
    body = bytes(request.body)
    check_utf8(body)
    try:
        return _read(body, request, inputs, check_rows)
    except InvalidInput as error:
        if type(error) is not InvalidInput or b"\n" in body or b"\r" in body or not body.strip():
            raise
        raise InvalidInput(
            f"{error}; it has only one line: curl keeps line ends with --data-binary"
        ) from None


def _read(
    body: bytes, request: Request, inputs: Inputs, check_rows: Callable[[int], None]
) -> NDArray[np.float64]:
    lines = _count_lines(body)
    check_rows(lines - 1)
    X, size = np.empty((lines + 1, inputs.width)), 0
    layout, start = csv_header.find(body, 3 if body.startswith(_BOM) else 0, inputs)
    other = b""
    if layout.separator != ",":
        if body.find(b",", start) < 0 and body.find(b'"', start) < 0:
            other, layout = layout.separator.encode(), layout._replace(separator=",")
        else:
            piece = body[start:].rstrip(b" \r\n")  # a tab at the end may follow an empty field
            require_cheap(_COST * len(piece), inline=request.inline)
            X = _by_field(piece, inputs, layout, 1 + _count_lines(body[:start]), request)
            size, start = len(X), len(body)
    while start < len(body):
        request.checkpoint()
        end = _cut(body, start)
        piece = body[start:end]
        if other:
            piece = piece.replace(other, b",")
        if end == len(body):
            piece = piece.rstrip()
        found = _plain(piece, layout) if inputs.plain else None
        if found is None:
            require_cheap(len(piece) // _SPLIT, inline=request.inline)
            found = _split(piece, inputs, layout)
        if found is None:
            if b'"' in piece:  # a quoted field may go on in the next piece
                end, piece = len(body), body[start:].rstrip()
            require_cheap(_COST * len(piece), inline=request.inline)
            found = _by_field(piece, inputs, layout, 1 + _count_lines(body[:start]), request)
        X[size : size + len(found)] = found
        size, start = size + len(found), end
    if not size:
        raise InvalidInput(f"the body holds no line of {'numbers' if inputs.plain else 'values'}")
    return X[:size]


def write(values: NDArray[np.float64], half_width: float | None = None) -> bytes:
    """Write predictions of shape (n,), a line each, under the header ``prediction``.

    With half the width of an interval, its ends follow in the columns ``low`` and ``high``.
    """
    if half_width is None:
        lines = (piece.replace(b",", b"\r\n") for piece in json_output.pieces(values))
        return b"\r\n".join([b"prediction", *lines, b""])
    rows = np.column_stack([values, values - half_width, values + half_width])
    lines = (piece[1:-1].replace(b"],[", b"\r\n") for piece in json_output.pieces(rows))
    return b"\r\n".join([b"prediction,low,high", *lines, b""])


def _cut(body: bytes, start: int) -> int:
    """Return the end of the lines that fit a piece, or of a line that is longer."""
    if len(body) - start <= PIECE:
        return len(body)
    return body.rfind(b"\n", start, start + PIECE) + 1 or body.find(b"\n", start) + 1 or len(body)


def _count_lines(text: bytes) -> int:
    ends = text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0
    return ends + json_bulk.count(text, b"\n")


def _plain(piece: bytes, layout: Layout) -> NDArray[np.float64] | None:
    """Return lines of JSON numbers as shape (n, d); None if there is anything else, such as a blank line."""
    text = piece.rstrip(b"\r\n")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    if b"\r" in text or len(text) > PIECE:
        return None
    structure = text.translate(None, _NOT_STRUCTURE)
    line = b"," * (layout.width - 1) + b"\n"
    if structure + b"\n" != line * (structure.count(b"\n") + 1):
        return None
    found = json_bulk.numbers(b"".join((b"[", text.translate(_LINE_END_TO_COMMA), b"]")))
    if found is None:
        return None
    X = found.reshape(-1, layout.width)
    return X if layout.positions is None else X[:, layout.positions]


def _by_field(
    text: bytes, inputs: Inputs, layout: Layout, first: int, request: Request
) -> NDArray[np.float64]:
    """Return lines of any values as shape (n, d); ``first`` is the number of the first line."""
    parts = []
    for lines, rows in _rows(text, layout, first):
        request.checkpoint()
        parts.append(_values(rows, inputs, layout, lines))
    return np.concatenate(parts) if parts else np.empty((0, inputs.width))


def _split(piece: bytes, inputs: Inputs, layout: Layout) -> NDArray[np.float64] | None:
    """Return lines without quotes as shape (n, d); None if there is anything else, or a value is wrong."""
    text = piece.rstrip(b"\r\n").replace(b"\r\n", b"\n") + b"\n"
    if b'"' in text or b"\r" in text or len(text) > 2 * PIECE:
        return None
    characters = np.frombuffer(text, np.uint8)
    separators = characters[(characters == ord(",")) | (characters == ord("\n"))]
    if separators.size % layout.width:
        return None
    ends = separators.reshape(-1, layout.width) == ord("\n")
    if ends[:, :-1].any() or not ends[:, -1].all():
        return None
    fields = text.translate(_LINE_END_TO_COMMA).decode()[:-1].split(",")
    width, step = layout.width, max(1, _FIELDS_AT_ONCE // layout.width) * layout.width
    try:  # so many at a time, as the interpreter's lock is held for each column
        parts = [
            _numbers([fields[i : start + step : width] for i in range(start, start + width)], inputs, layout)
            for start in range(0, len(fields), step)
        ]
    except InvalidInput:
        return None
    return np.concatenate(parts)


def _numbers(fields: Sequence[Sequence[str]], inputs: Inputs, layout: Layout) -> NDArray[np.float64]:
    """Return columns of cells as shape (n, d)."""
    positions = range(inputs.width) if layout.positions is None else layout.positions
    return np.stack([_column(one, fields[at]) for one, at in zip(inputs, positions, strict=True)], axis=1)


def _values(rows: list[list[str]], inputs: Inputs, layout: Layout, lines: list[int]) -> NDArray[np.float64]:
    try:
        return _numbers(list(zip(*rows, strict=True)), inputs, layout)
    except InvalidInput:
        positions = range(inputs.width) if layout.positions is None else layout.positions
        for line, row in zip(lines, rows, strict=True):
            if error := error_in([row[at] for at in positions], inputs, line):
                raise error from None
        raise


def _column(one: Input, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the numbers of an input from its cells, shape (n,); most columns of numbers are valid JSON."""
    if one.type == "number":
        text = ",".join(texts)
        found = None if "[" in text else json_bulk.numbers(f"[{text}]".encode())
        if found is not None and len(found) == len(texts):
            return found
    return columns.of_cells(one, texts)


def _rows(text: bytes, layout: Layout, first: int) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Yield rows of fields, some at a time, behind the numbers of the lines at which they begin.

    Raises:
        InvalidInput: a line is malformed; the rows before it were yielded, as one of them may be wrong too.
    """
    source, problem, ended = Lines(text), None, False
    reader = csv.reader(source, strict=True, delimiter=layout.separator)
    while not (problem or ended):
        lines: list[int] = []
        rows: list[list[str]] = []
        while not (problem or ended) and len(rows) * layout.width < _FIELDS_AT_ONCE:
            line, source.size = first + reader.line_num, 0
            try:
                fields = next(reader)
            except StopIteration:
                ended = True
            except csv.Error as error:
                problem = f"line {line}: {error}"
            else:
                if len(fields) == layout.width:
                    rows.append(fields)
                    lines.append(line)
                elif fields:  # a blank line has none
                    wanted, got = plural(layout.width, "field"), plural(len(fields), "field")
                    problem = f"line {line}: expected {wanted}, got {got}"
        if rows:
            yield lines, rows
    if problem:
        raise InvalidInput(problem)
