"""The columns of a record batch of an Arrow stream, as the numbers of a model's inputs.

https://arrow.apache.org/docs/format/Columnar.html. Every offset and length is checked before it is used.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import columns
from predictor.codecs.arrow_schema import Column
from predictor.codecs.columns import REFUSED, Texts
from predictor.codecs.flatbuffers import OTHER_COLUMNS, Table
from predictor.errors import InvalidInput
from predictor.model.inputs import Input

_AT_ONCE = 2**16
"""Texts that are looked up at once."""
_LONGEST_DICTIONARY = 2**20
_VIEW_BYTES = 16
_INLINE = 12
"""The longest text that is within its view."""


class Part(NamedTuple):
    """A column of a record batch.

    Attributes:
        column: what it holds.
        rows: how many rows it has.
        nulls: how many of them are null.
        content: the body of the batch.
        buffers: where its buffers are: offsets and sizes.
    """

    column: Column
    rows: int
    nulls: int
    content: memoryview
    buffers: Sequence[tuple[int, ...]]

    def buffer(self, number: int, needed: int) -> memoryview:
        """Return a buffer of at least ``needed`` bytes."""
        offset, size = self.buffers[number]
        if offset < 0 or size < needed or offset + size > len(self.content):
            raise InvalidInput(f"the values of {self.column.name} end outside of their record batch")
        return self.content[offset : offset + size]

    def bits(self, number: int) -> NDArray[np.bool_]:
        """Return a buffer of bits, one for each row."""
        content = np.frombuffer(self.buffer(number, (self.rows + 7) // 8), np.uint8)
        return np.unpackbits(content, count=self.rows, bitorder="little").view(np.bool_)

    def valid(self) -> NDArray[np.bool_] | None:
        """Return which rows are not null; None if all are not."""
        return self.bits(0) if self.nulls else None


def parts(header: Table, content: memoryview, schema: Sequence[Column]) -> list[Part]:
    """Return the columns of a record batch.

    Raises:
        InvalidInput: it is compressed, or has other columns than the schema.
    """
    if header.table(3) is not None:
        raise InvalidInput(
            "compressed record batches are not supported; compress the body as a whole instead"
        )
    rows, views = header.number(0, "q"), sum(column.views for column in schema)
    further = [number for (number,) in header.entries(4, "q", views)]
    if len(further) != views or min(further, default=0) < 0:
        raise InvalidInput(OTHER_COLUMNS)
    found, node, buffer, view = [], 0, 0, 0
    places = []
    for column in schema:
        own = column.buffers + sum(further[view : view + column.views])
        places.append((node, buffer, buffer + own))
        node, buffer, view = node + column.nodes, buffer + own, view + column.views
    nodes, buffers = header.entries(1, "qq", node), header.entries(2, "qq", buffer)
    if (len(nodes), len(buffers)) != (node, buffer):
        raise InvalidInput(OTHER_COLUMNS)
    for column, (node, start, stop) in zip(schema, places, strict=True):
        length, nulls = nodes[node]
        if length != rows or rows < 0:
            raise InvalidInput(f"the column {column.name} has {length} rows in a record batch of {rows}")
        nulls = rows if column.kind == "null" and column.dictionary is None else nulls
        found.append(Part(column, rows, nulls, content, buffers[start:stop]))
    return found


def texts(part: Part) -> Iterator[Texts]:
    """Return the texts of a column, so many at a time; a null is an empty text, which is missing as well.

    Raises:
        InvalidInput: one is outside of its buffer.
    """
    valid = part.valid()
    find = _in_views if part.column.kind == "view" else _by_offsets
    content = np.frombuffer(part.content, np.uint8)
    for start in range(0, part.rows, _AT_ONCE):
        stop = min(start + _AT_ONCE, part.rows)
        some = None if valid is None else valid[start:stop]
        starts, lengths, inside = find(part, start, stop)
        if some is not None:  # what is behind a null is not defined
            inside, lengths = inside | ~some, np.where(some & inside, lengths, 0)
        if not inside.all():
            raise InvalidInput(f"a text of {part.column.name} ends outside of its record batch")
        yield Texts(content, starts, lengths)


_Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
"""Where texts begin in the body of a batch, how long they are, and whether they are within their buffers."""


def _by_offsets(part: Part, start: int, stop: int) -> _Found:
    assert part.column.dtype is not None  # noqa: S101  for the types
    offsets = np.frombuffer(part.buffer(1, (part.rows + 1) * part.column.dtype.itemsize), part.column.dtype)[
        start : stop + 1
    ].astype(np.int64)
    base, size = part.buffers[2]
    part.buffer(2, 0)
    starts, ends = offsets[:-1], offsets[1:]  # compared, as a difference could overflow
    return base + starts, ends - starts, (starts >= 0) & (starts <= ends) & (ends <= size)


def _in_views(part: Part, start: int, stop: int) -> _Found:
    views = np.frombuffer(part.buffer(1, part.rows * _VIEW_BYTES), "<i4", part.rows * 4)
    views = views.reshape(-1, 4)[start:stop].astype(np.int64)
    lengths = views[:, 0]
    starts = part.buffers[1][0] + _VIEW_BYTES * np.arange(start, stop) + 4
    long = np.flatnonzero(lengths > _INLINE)
    inside = lengths >= 0
    if long.size:
        for number in range(2, len(part.buffers)):
            part.buffer(number, 0)
        places = np.array(part.buffers[2:] or [(0, -1)], np.int64)
        numbers, offsets = views[long, 2], views[long, 3]
        inside[long] = (numbers >= 0) & (numbers < len(places)) & (offsets >= 0)
        bases, sizes = places[np.clip(numbers, 0, len(places) - 1)].T
        inside[long] &= offsets + lengths[long] <= sizes
        starts[long] = bases + offsets
    return starts, lengths, inside


class Dictionaries:
    """The dictionaries of a stream, as far as its inputs need them."""

    def __init__(self, needed: Sequence[Column]) -> None:
        self._values = {
            column.dictionary: _values(column) for column in needed if column.dictionary is not None
        }
        self._texts: dict[int, list[Texts]] = {}
        self._codes: dict[tuple[int, str], NDArray[np.float64]] = {}

    def read(self, header: Table, content: memoryview) -> None:
        """Read a dictionary: a new one, one instead of another, or a further piece of one."""
        number, batch = header.number(0, "q"), header.table(1)
        column = self._values.get(number)
        if column is None or batch is None:
            return
        (part,) = parts(batch, content, [column])
        known = self._texts.get(number, []) if header.number(2, "B") else []
        if part.rows + sum(len(some.lengths) for some in known) > _LONGEST_DICTIONARY:
            raise InvalidInput(f"the dictionary of {column.name} has more than {_LONGEST_DICTIONARY} values")
        self._texts[number] = known + list(texts(part))
        self._codes = {key: codes for key, codes in self._codes.items() if key[0] != number}

    def codes(self, number: int, one: Input) -> NDArray[np.float64]:
        """Return the numbers of the values of a dictionary as categories of an input."""
        key = number, one.name
        if key not in self._codes:
            found = [columns.codes(one, some) for some in self._texts.get(number, [])]
            self._codes[key] = np.concatenate([*found, np.empty(0)])
        return self._codes[key]

    def text(self, number: int, position: int) -> str:
        """Return a value of a dictionary."""
        for some in self._texts[number]:
            if position < len(some.lengths):
                return some.text(position)
            position -= len(some.lengths)
        raise IndexError(position)


def _values(column: Column) -> Column:
    """Return the column of the values of a dictionary."""
    view = column.kind == "view"
    return column._replace(
        dictionary=None, positions=None, nodes=1, buffers=2 if view else 3, views=int(view)
    )


def numbers(
    one: Input, part: Part, dictionaries: Dictionaries, first: int, checkpoint: Callable[[], None]
) -> NDArray[np.float64]:
    """Return the numbers of an input from its column, shape (n,).

    Args:
        one: the input.
        part: its column, of a kind that suits it.
        dictionaries: the dictionaries that have come.
        first: the number of the first row, for messages.
        checkpoint: is called between pieces, and may raise an error to stop.

    Raises:
        InvalidInput: a value does not fit; it names the row.
    """

    def place(row: int) -> str:
        return f"row {first + row}, {one.name}"

    column = part.column
    if column.dictionary is not None:
        return _of_dictionary(one, part, dictionaries, column.dictionary, place)
    if column.kind in ("text", "view"):
        parts, done = [np.empty(0)], 0
        for some in texts(part):
            checkpoint()
            parts.append(columns.of_texts(one, some, partial(_later, place, done)))
            done += len(parts[-1])
        return np.concatenate(parts)
    if column.kind == "null":
        return np.full(part.rows, one.number(None, place(0)))
    if column.kind == "boolean":
        found: NDArray[np.generic] = part.bits(1)
    else:
        assert column.dtype is not None  # noqa: S101  for the types
        needed = part.rows * column.dtype.itemsize
        found = np.frombuffer(part.buffer(1, needed)[:needed], column.dtype)
    valid = part.valid()
    if valid is not None:
        found = np.where(valid, found.astype(np.float64), np.nan)
    if one.plain and valid is None:
        return found.astype(np.float64, copy=False)
    return columns.of_numbers(one, found, place)


def _later(place: columns.Place, done: int, row: int) -> str:
    return place(done + row)


def _of_dictionary(
    one: Input, part: Part, dictionaries: Dictionaries, number: int, place: columns.Place
) -> NDArray[np.float64]:
    assert part.column.positions is not None  # noqa: S101  for the types
    needed = part.rows * part.column.positions.itemsize
    positions = np.frombuffer(part.buffer(1, needed)[:needed], part.column.positions).astype(np.int64)
    known = dictionaries.codes(number, one)
    valid = part.valid()
    used = np.ones(part.rows, np.bool_) if valid is None else valid
    outside = used & ((positions < 0) | (positions >= len(known)))
    if outside.any():
        raise InvalidInput(f"{place(int(np.argmax(outside)))}: the position is not in the dictionary")
    found = np.full(part.rows, REFUSED if one.missing is None else one.missing)
    found[used] = known[positions[used]]
    if REFUSED in found:
        row = int(np.argmax(found == REFUSED))
        text = dictionaries.text(number, int(positions[row])) if used[row] else None
        one.number(text, place(row))
    return found
