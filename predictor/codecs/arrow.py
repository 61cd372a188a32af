"""Arrow IPC streams in and out.

The reader is written in Python because it reads untrusted bytes: a malformed message can crash nanoarrow and
other readers in C, and with them every request of the process. It supports columns of numbers, booleans and
texts, with and without dictionaries, in record batches that are not compressed, and passes over columns of
other types. Numbers are copied only if they have to be converted. Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

import io
import struct
from collections.abc import Callable, Iterator

import nanoarrow
import numpy as np
from nanoarrow.ipc import StreamWriter
from numpy.typing import NDArray

from predictor.codecs import arrow_columns, arrow_schema, features
from predictor.codecs.arrow_columns import Dictionaries
from predictor.codecs.arrow_schema import Column
from predictor.codecs.cost import require_cheap
from predictor.codecs.flatbuffers import Table
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs

_CUT_OFF = "the Arrow stream is cut off within a message"
_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORD_BATCH = 1, 2, 3
_TEXTS = frozenset(("text", "view"))
_KINDS: dict[str, frozenset[str]] = {
    "number": frozenset(("integer", "float")),
    "boolean": frozenset(("integer", "float", "boolean")),
    "category": _TEXTS | {"integer"},
}
"""The kinds of columns that can hold the values of an input; those of a dictionary must be texts."""
_BATCH_COST = 96
"""A column of a record batch takes as long as that many bytes of text."""
_ROWS_PER_BYTE = 4
"""So many values that are not plain numbers take as long as a byte of text."""


def read(
    request: Request, inputs: Inputs, check_rows: Callable[[int], None] = lambda _rows: None
) -> NDArray[np.float64]:
    """Read the record batches of a stream, its columns the features by name, into shape (n, d).

    Columns of other names are passed over. ``check_rows`` is called with the number of rows before they are
    read; it raises if they are too many.

    Raises:
        InvalidInput: anything else; it names the column and the row.
        TooCostly: so many batches, columns or texts would take too long on the event loop.
    """
    messages = _messages(request.body)
    kind, header, _ = next(messages, (0, None, b""))
    if kind != _SCHEMA or header is None:
        raise InvalidInput("the body is not an Arrow stream: it does not begin with a schema")
    schema = arrow_schema.columns(header, inputs.width, inline=request.inline)
    order = features.order([column.name for column in schema], inputs.names, "columns", further=True)
    for one, at in zip(inputs, order, strict=True):
        _check(one, schema[at])
    dictionaries = Dictionaries([schema[at] for at in order])
    parts: list[NDArray[np.float64]] = []
    rows = 0
    for i, (kind, header, content) in enumerate(messages, start=1):
        require_cheap(_BATCH_COST * i * len(schema), inline=request.inline)
        request.checkpoint()
        if kind == _DICTIONARY and header is not None:
            dictionaries.read(header, content)
            continue
        if kind != _RECORD_BATCH or header is None:
            raise InvalidInput("only record batches and dictionaries may follow the schema")
        count = header.number(0, "q")
        check_rows(rows + count)
        if not inputs.plain:
            require_cheap((rows + count) * inputs.width // _ROWS_PER_BYTE, inline=request.inline)
        found = arrow_columns.parts(header, content, schema)
        values = [
            arrow_columns.numbers(one, found[at], dictionaries, rows, request.checkpoint)
            for one, at in zip(inputs, order, strict=True)
        ]
        parts.append(values[0].reshape(-1, 1) if len(values) == 1 else np.stack(values, axis=1))
        rows += count
    if not rows:
        raise InvalidInput("the stream holds no row")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def write(values: NDArray[np.float64], half_width: float | None = None) -> bytes:
    """Write predictions of shape (n,) as a stream of one batch with the column ``prediction``.

    With half the width of an interval, its ends are the columns ``low`` and ``high``.
    """
    columns = {"prediction": values}
    if half_width is not None:
        columns |= {"low": values - half_width, "high": values + half_width}
    number = nanoarrow.float64(nullable=False)
    children = [
        nanoarrow.c_array_from_buffers(number, len(values), [None, column], null_count=0)
        for column in columns.values()
    ]
    schema = nanoarrow.struct(dict.fromkeys(columns, number))
    batch = nanoarrow.c_array_from_buffers(schema, len(values), [None], null_count=0, children=children)
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


def _check(one: Input, column: Column) -> None:
    """Check that a column can hold the values of an input.

    Raises:
        InvalidInput: it can't.
    """
    kinds = _KINDS[one.type] if one.missing is None else _KINDS[one.type] | {"null"}
    if column.kind not in (kinds if column.dictionary is None else kinds & _TEXTS):
        wanted = {"number": "plain numbers", "boolean": "booleans", "category": "texts"}[one.type]
        raise InvalidInput(f"the column {column.name[:80]!r} holds no {wanted}")
