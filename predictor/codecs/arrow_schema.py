"""The schema of an Arrow stream: what each column holds, and how many buffers that takes.

https://arrow.apache.org/docs/format/Columnar.html#buffer-listing-for-each-layout; types and fields are
numbered as in https://github.com/apache/arrow/blob/main/format/Schema.fbs.
"""

from typing import Any, Literal, NamedTuple

import numpy as np

from predictor.codecs.cost import require_cheap
from predictor.codecs.flatbuffers import Table
from predictor.errors import InvalidInput

Kind = Literal["null", "integer", "float", "boolean", "text", "view", "other"]
"""What a column holds: text has offsets, or views of 16 bytes."""

_NULL, _INT, _FLOAT, _TEXT, _BOOL, _UNION = 1, 2, 3, 5, 6, 14
_LARGE_TEXT, _TEXT_VIEW = 20, 24
_FLOATS = ("<f2", "<f4", "<f8")
_BUFFERS = {
    **dict.fromkeys((_INT, _FLOAT, _BOOL, 7, 8, 9, 10, 11, 15, 18), 2),
    **dict.fromkeys((4, _TEXT, 19, _LARGE_TEXT), 3),
    **dict.fromkeys((12, 17, 21), 2),  # lists and maps
    **dict.fromkeys((13, 16), 1),  # structures and lists of one length
    **dict.fromkeys((_NULL, 22), 0),
    **dict.fromkeys((23, _TEXT_VIEW), 2),  # and as many more as the batch says
    **dict.fromkeys((25, 26), 3),  # views of lists
}
"""How many buffers a column of a type has, beside those of its children."""

_VIEWS = (23, _TEXT_VIEW)
_MORE_COLUMNS = 1024
"""Columns beyond the features, with those inside of columns, up to which a schema is read."""
_DEEPEST = 16
_COST = 32
"""A column takes as long as that many bytes of text."""


class Column(NamedTuple):
    """A column of a stream.

    Attributes:
        name: its name.
        kind: what it holds.
        dtype: the type of its numbers or offsets, if it has any.
        dictionary: the id of its dictionary, which holds its values; None without one.
        positions: the type of the positions in the dictionary, if it has one.
        nodes, buffers, views: how many nodes and buffers it has in a record batch, and how many of its parts
            have further buffers, whose number is in the batch.
    """

    name: str
    kind: Kind
    dtype: np.dtype[Any] | None
    dictionary: int | None
    positions: np.dtype[Any] | None
    nodes: int
    buffers: int
    views: int


def columns(schema: Table, features: int, *, inline: bool) -> list[Column]:
    """Read a schema.

    Raises:
        InvalidInput: it is malformed, big-endian, or has very many columns more than ``features``.
        TooCostly: so many columns would take too long on the event loop.
    """
    if schema.number(0, "h"):
        raise InvalidInput("the numbers of the Arrow stream must be little-endian")
    most = features + _MORE_COLUMNS
    return _Reader(most, inline=inline).columns(schema.tables(1, most=most))


class _Reader:
    """Reads columns within a bound: a small message can lead to very many, as they can share their parts."""

    def __init__(self, most: int, *, inline: bool) -> None:
        self._left = self._most = most
        self._inline = inline

    def columns(self, fields: list[Table], depth: int = 0) -> list[Column]:
        self._left -= len(fields)
        if self._left < 0 or depth > _DEEPEST:
            raise InvalidInput("the Arrow stream has too many columns, or too deeply nested ones")
        require_cheap(_COST * (self._most - self._left), inline=self._inline)
        return [self._column(field, depth) for field in fields]

    def _column(self, field: Table, depth: int) -> Column:
        name, number, details, encoding = field.text(0), field.number(2, "B"), field.table(3), field.table(4)
        kind, dtype = _kind(number, details)
        if encoding is not None:  # positions, whatever the type of the values is
            return Column(name, kind, dtype, encoding.number(0, "q"), _index(encoding), 1, 2, 0)
        children = self.columns(field.tables(5, most=self._left), depth + 1)
        own = _BUFFERS.get(number)
        if number == _UNION and details is not None:
            own = 1 + details.number(0, "h")
        if own is None:
            raise InvalidInput(f"the column {name[:80]!r} is of a type that this server does not know")
        return Column(
            name,
            kind,
            dtype,
            None,
            None,
            1 + sum(child.nodes for child in children),
            own + sum(child.buffers for child in children),
            (number in _VIEWS) + sum(child.views for child in children),
        )


def _kind(number: int, details: Table | None) -> tuple[Kind, np.dtype[Any] | None]:
    """Return what a type holds, and the type of its numbers or offsets."""
    if number in (_NULL, _BOOL):
        return ("null" if number == _NULL else "boolean"), None
    if number in (_TEXT, _LARGE_TEXT):
        return "text", np.dtype("<i4" if number == _TEXT else "<i8")
    if number == _TEXT_VIEW:
        return "view", None
    if number == _FLOAT and details is not None and details.number(0, "h") in range(len(_FLOATS)):
        return "float", np.dtype(_FLOATS[details.number(0, "h")])
    if number == _INT and details is not None and (dtype := _integer(details)):
        return "integer", dtype
    return "other", None


def _integer(details: Table) -> np.dtype[Any] | None:
    bits = details.number(0, "i")
    return (
        np.dtype(f"<{'i' if details.number(1, 'B') else 'u'}{bits // 8}") if bits in (8, 16, 32, 64) else None
    )


def _index(encoding: Table) -> np.dtype[Any]:
    details = encoding.table(1)
    return (_integer(details) if details else None) or np.dtype("<i4")
