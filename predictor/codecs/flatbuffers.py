"""A reader of untrusted FlatBuffers: Python checks every access, so that no bytes can crash the process.

It supports what Arrow's messages need of the format (https://flatbuffers.dev/internals).
"""

import struct
from typing import Self

from predictor.errors import InvalidInput

OTHER_COLUMNS = "a record batch of the Arrow stream has other columns than the schema"
_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")


class Table:
    """A table in a buffer, with its fields by their number in the schema.

    Every method raises ``InvalidInput`` if an offset leads out of the buffer.
    """

    def __init__(self, content: bytes, position: int) -> None:
        self.content = content
        self.position = position
        self.vtable = position - _get(_I32, content, position)
        self.size = _get(_U16, content, self.vtable)

    @classmethod
    def root(cls, content: bytes) -> Self:
        """Return the table at the root of a buffer."""
        return cls(content, _get(_U32, content, 0))

    def number(self, field: int, form: str) -> int:
        """Return a scalar by its ``struct`` format; 0 if the field is absent."""
        place = self._place(field)
        return 0 if place is None else int(_get(struct.Struct("<" + form), self.content, place))

    def table(self, field: int) -> "Table | None":
        """Return a table; None if the field is absent."""
        place = self._target(field)
        return None if place is None else Table(self.content, place)

    def text(self, field: int) -> str:
        """Return a string; empty if the field is absent."""
        start, count = self._vector(field, 1)
        try:
            return self.content[start : start + count].decode()
        except UnicodeDecodeError as error:
            raise InvalidInput("the body is not an Arrow stream: a name is not UTF-8") from error

    def tables(self, field: int, most: int) -> list["Table"]:
        """Return a vector of at most ``most`` tables."""
        start, count = self._vector(field, 4)
        if count > most:
            raise InvalidInput(f"the Arrow stream has {count} columns, more than are needed")
        places = range(start, start + 4 * count, 4)
        return [Table(self.content, place + _get(_U32, self.content, place)) for place in places]

    def entries(self, field: int, form: str, most: int) -> list[tuple[int, ...]]:
        """Return a vector of at most ``most`` structs of numbers, by their ``struct`` format."""
        entry = struct.Struct("<" + form)
        start, count = self._vector(field, entry.size)
        if count > most:
            raise InvalidInput(OTHER_COLUMNS)
        return list(entry.iter_unpack(self.content[start : start + entry.size * count]))

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = _get(_U16, self.content, self.vtable + entry) if entry < self.size else 0
        return self.position + offset if offset else None

    def _target(self, field: int) -> int | None:
        place = self._place(field)
        return None if place is None else place + _get(_U32, self.content, place)

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Return where a vector's elements begin, and how many there are."""
        place = self._target(field)
        if place is None:
            return 0, 0
        count = _get(_U32, self.content, place)
        if place + 4 + size * count > len(self.content):
            raise InvalidInput("the body is not an Arrow stream: a vector ends outside of its message")
        return place + 4, count


def _get(form: struct.Struct, content: bytes, position: int) -> int:
    if not 0 <= position <= len(content) - form.size:
        raise InvalidInput("the body is not an Arrow stream: an offset leads outside of its message")
    return int(form.unpack_from(content, position)[0])
