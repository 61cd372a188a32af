"""Takes the numbers out of the bytes of an inference request, and leaves the rest to the generated parser.

Packed numbers and raw tensors are contiguous bytes in a message, so they can be read where they are. The
generated parser would copy them, and make an object of each number when they are read. Of the rest a message
has little; a hostile one repeats fields of two bytes, each of which would become an object of eighty.
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from predictor.errors import InvalidInput

Runs = dict[int, list[memoryview]]
"""The packed numbers of a tensor by the number of their field in ``InferTensorContents``.

Texts are not packed; their fields follow one after the other, and are one run."""

TEXTS = 8
"""The number of the field of texts."""

TEXT_TAG = TEXTS << 3 | 2
"""The tag of a text."""

_INPUTS = _CONTENTS = 5
_RAW_INPUTS = 7
_NUMBERS = range(1, 8)
_BYTES = 2
"""The wire type of strings, messages and packed numbers: a length, and so many bytes."""
_FIXED_SIZES = {1: 8, 5: 4}
_VARINT_BITS = 70


class Field(NamedTuple):
    """A field of a message: its number and wire type, and the offsets of its tag, value and end."""

    number: int
    kind: int
    tag: int
    start: int
    end: int


class Message:
    """A ``ModelInferRequest`` in parts.

    Args:
        body: the message.
        check: raises if so many bytes beside the numbers are too many.

    Attributes:
        rest: the message without what the others hold.
        runs: the packed numbers of each input; empty for an input that ``rest`` holds as a whole.
        raw: the raw tensors.

    Raises:
        InvalidInput: a malformed message.
    """

    def __init__(self, body: bytes, check: Callable[[int], None]) -> None:
        self.runs: list[Runs] = []
        self.raw: list[memoryview] = []
        self._body = body
        self._view = memoryview(body)
        self._check = check
        self._others = 0
        self.rest = b"".join(self._walk())

    def _walk(self) -> Iterator[bytes]:
        """Take out the numbers and the raw tensors, and return the other parts."""
        for field in self._fields(0, len(self._body)):
            if field.number == _RAW_INPUTS and field.kind == _BYTES:
                self.raw.append(self._view[field.start : field.end])
            elif field.number == _INPUTS and field.kind == _BYTES:
                rest, runs = self._input(field)
                self.runs.append(runs)
                yield rest
            else:
                yield self._whole(field)

    def _input(self, field: Field) -> tuple[bytes, Runs]:
        """Return an input without its numbers, and those; all of it if it has numbers that are not packed."""
        rest: list[bytes] = []
        runs: Runs = {}
        for inner in self._fields(field.start, field.end):
            if inner.number != _CONTENTS or inner.kind != _BYTES:
                rest.append(self._whole(inner))
                continue
            if self._body[inner.start : inner.start + 1] == bytes([TEXT_TAG]):
                runs.setdefault(TEXTS, []).append(self._view[inner.start : inner.end])
                rest.append(header(_CONTENTS, 0))
                continue
            others: list[bytes] = []
            for run in self._fields(inner.start, inner.end):
                if run.number not in _NUMBERS:
                    others.append(self._whole(run))
                elif run.kind == _BYTES:
                    runs.setdefault(run.number, []).append(self._view[run.start : run.end])
                else:
                    return self._whole(field), {}
            content = b"".join(others)
            rest += (header(_CONTENTS, len(content)), content)
        content = b"".join(rest)
        return header(_INPUTS, len(content)) + content, runs

    def _whole(self, field: Field) -> bytes:
        """Return a field that is left to the generated parser."""
        self._count(field.end - field.start)
        return self._body[field.tag : field.end]

    def _count(self, others: int) -> None:
        """Count bytes beside the numbers."""
        self._others += others
        self._check(self._others)

    def _fields(self, start: int, end: int) -> Iterator[Field]:
        position = start
        while position < end:
            tag = position
            key, position = self._varint(position, end)
            kind = key & 7
            if kind == _BYTES:
                length, position = self._varint(position, end)
                stop = position + length
            elif kind == 0:
                stop = self._varint(position, end)[1]
            else:
                stop = position + _FIXED_SIZES.get(kind, end)
            if stop > end:
                raise InvalidInput("malformed message")
            self._count(position - tag)
            yield Field(key >> 3, kind, tag, position, stop)
            position = stop

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """Return a number, and the offset behind it."""
        body, value, shift = self._body, 0, 0
        while position < end and shift < _VARINT_BITS:
            byte = body[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise InvalidInput("malformed message")


def header(number: int, length: int) -> bytes:
    """Encode what precedes a field of bytes, a message or packed numbers."""
    encoded = bytearray([number << 3 | _BYTES])
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
