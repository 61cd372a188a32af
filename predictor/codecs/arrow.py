"""Arrow IPC streams in and out.

The reader is written in Python because it reads untrusted bytes: a malformed message can crash nanoarrow and
other readers in C, and with them every request of the process. It supports tables of features: columns of
numbers without nulls, in record batches that are not compressed. Numbers are copied only if they have to be
converted. Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import nanoarrow
import numpy as np
from nanoarrow.ipc import StreamWriter
from numpy.typing import NDArray

from predictor.codecs import features
from predictor.codecs.cost import require_cheap
from predictor.codecs.flatbuffers import Table
from predictor.errors import InvalidInput
from predictor.messages import Request

_CUT_OFF = "the Arrow stream is cut off within a message"
_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _RECORD_BATCH = 1, 3
_INT, _FLOAT = 2, 3
_FLOATS = ("<f2", "<f4", "<f8")
_MORE_COLUMNS = 64
"""Columns beyond the features, up to which they are read for a message."""
_BATCH_COST = 64
"""A column of a record batch takes as long as that many bytes of text."""


class _Column(NamedTuple):
    name: str
    dtype: np.dtype[Any]


def read(
    request: Request, names: Sequence[str], check_rows: Callable[[int], None] = lambda _rows: None
) -> NDArray[np.float64]:
    """Read the record batches of a stream, its columns the features by name, into shape (n, d).

    ``check_rows`` is called with the number of rows before they are read; it raises if they are too many.

    Raises:
        InvalidInput: anything else; it names the column and the row.
        TooCostly: so many batches or columns would take too long on the event loop.
    """
    messages = _messages(request.body)
    kind, header, _ = next(messages, (0, None, b""))
    if kind != _SCHEMA or header is None:
        raise InvalidInput("the body is not an Arrow stream: it does not begin with a schema")
    columns = _columns(header, names)
    order = features.order([column.name for column in columns], names, "columns")
    parts: list[NDArray[np.float64]] = []
    rows = 0
    for i, (kind, header, content) in enumerate(messages, start=1):
        require_cheap(_BATCH_COST * i * len(names), inline=request.inline)
        request.checkpoint()
        if kind != _RECORD_BATCH or header is None:
            raise InvalidInput("only record batches may follow the schema, neither dictionaries nor tensors")
        check_rows(rows + header.number(0, "q"))
        values = _batch(header, content, columns, rows)
        parts.append(
            values[0].reshape(-1, 1) if len(names) == 1 else np.stack([values[i] for i in order], axis=1)
        )
        rows += len(parts[-1])
    if not rows:
        raise InvalidInput("the stream holds no row")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def write(values: NDArray[np.float64]) -> bytes:
    """Write predictions of shape (n,) as a stream of one batch with the column ``prediction``."""
    number = nanoarrow.float64(nullable=False)
    column = nanoarrow.c_array_from_buffers(number, len(values), [None, values], null_count=0)
    batch = nanoarrow.c_array_from_buffers(
        nanoarrow.struct({"prediction": number}), len(values), [None], null_count=0, children=[column]
    )
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(batch)
    return out.getvalue()


def _messages(body: bytes | bytearray) -> Iterator[tuple[int, Table | None, memoryview]]:
    """Return each message of a stream: the kind of its header, the header, and its body."""
    view = memoryview(body)
    position = 0
    while position < len(view):
        try:
            mark, size = struct.unpack_from("<II", view, position)
        except struct.error:
            raise InvalidInput(_CUT_OFF) from None
        if mark != _CONTINUATION:
            raise InvalidInput("the body is not an Arrow stream: a message does not begin as one")
        position += 8
        if not size:
            return
        if size > len(view) - position:
            raise InvalidInput(_CUT_OFF)
        message = Table.root(bytes(view[position : position + size]))
        position += size
        length = message.number(3, "q")
        if not 0 <= length <= len(view) - position:
            raise InvalidInput(_CUT_OFF)
        yield message.number(1, "B"), message.table(2), view[position : position + length]
        position += length


def _columns(schema: Table, names: Sequence[str]) -> list[_Column]:
    if schema.number(0, "h"):
        raise InvalidInput("the numbers of the Arrow stream must be little-endian")
    return [_column(field) for field in schema.tables(1, most=len(names) + _MORE_COLUMNS)]


def _column(field: Table) -> _Column:
    name, kind, details = field.text(0), field.number(2, "B"), field.table(3)
    dtype = None
    if details is not None and field.table(4) is None:
        if kind == _FLOAT and details.number(0, "h") in range(len(_FLOATS)):
            dtype = _FLOATS[details.number(0, "h")]
        elif kind == _INT and details.number(0, "i") in (8, 16, 32, 64):
            dtype = f"<{'i' if details.number(1, 'B') else 'u'}{details.number(0, 'i') // 8}"
    if dtype is None:
        raise InvalidInput(f"the column {name[:80]!r} holds no plain numbers")
    return _Column(name, np.dtype(dtype))


def _batch(
    header: Table, content: memoryview, columns: Sequence[_Column], first: int
) -> list[NDArray[np.float64]]:
    """Return the columns of a record batch; ``first`` is the number of its first row, for messages."""
    if header.table(3) is not None:
        raise InvalidInput(
            "compressed record batches are not supported; compress the body as a whole instead"
        )
    rows, values = header.number(0, "q"), []
    nodes, buffers = header.pairs(1, len(columns)), header.pairs(2, 2 * len(columns))
    for i, column in enumerate(columns):
        length, nulls = nodes[i]
        if length != rows or rows < 0:
            raise InvalidInput(f"the column {column.name} has {length} rows in a record batch of {rows}")
        if nulls:
            row = first + _first_null(content, *buffers[2 * i], rows)
            raise InvalidInput(f"row {row}: {column.name} is null")
        values.append(_values(content, *buffers[2 * i + 1], rows, column))
    return values


def _values(content: memoryview, offset: int, size: int, rows: int, column: _Column) -> NDArray[np.float64]:
    needed = rows * column.dtype.itemsize
    if offset < 0 or size < needed or offset + size > len(content):
        raise InvalidInput(f"the numbers of {column.name} end outside of their record batch")
    return np.frombuffer(content[offset : offset + needed], dtype=column.dtype).astype(np.float64, copy=False)


def _first_null(content: memoryview, offset: int, size: int, rows: int) -> int:
    """Return the row of the first null, from the validity bitmap."""
    if offset < 0 or size < 0 or offset + size > len(content):
        raise InvalidInput("a validity bitmap ends outside of its record batch")
    valid = np.unpackbits(np.frombuffer(content[offset : offset + size], np.uint8), bitorder="little")[:rows]
    return int(np.argmin(valid)) if len(valid) else 0
