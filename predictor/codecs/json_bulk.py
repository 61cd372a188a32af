"""JSON in and out at the speed of the machine: from text to array and back without an object a number.

Three readers, each for what the one before does not understand: orjson for a small document of the expected
form; simdjson, piece by piece, for a long array of plain rows; ``json_exact`` for everything else, which is
also where every error message comes from.
"""

import re
from collections.abc import Iterator, Sequence
from threading import local
from typing import Any

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from predictor.codecs import json_strict
from predictor.errors import InvalidInput
from predictor.messages import Request

PIECE = 2**20
"""Bytes of a long array that are parsed at once: what fits the cache, bounds the parser's memory, and
holds the interpreter's lock for a few milliseconds only."""

LONGEST_ROW = 2**20
"""Bytes of a single row."""

SMALL = 256
"""Bytes up to which Python objects are quicker than arrays."""

NUMBERS = frozenset((float, int))
"""The types that orjson reads a number into; a bool is neither."""

_WRITTEN_AT_ONCE = 2**17
"""Numbers of an array that are written at once: the interpreter's lock is held as long."""

_NOT_STRUCTURE = b"0123456789+-.eE \t\r\n"
_END = re.compile(rb"\][ \t\r\n]*\}[ \t\r\n]*\Z")
_END_BYTES = 64
_FIRST_ROWS = 64


class _Parsers(local):
    """A parser for each thread: it owns the buffer that it parses into."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_parsers = _Parsers()


def document(body: bytes | bytearray) -> Any:
    """Parse a document of moderate size: quickly if nothing in it is hidden by that, else exactly.

    Raises:
        InvalidInput: it can't be read.
    """
    try:
        found = orjson.loads(body)
    except ValueError:
        return json_strict.document(body)
    return found if body.count(b'"') == 2 * _strings(found) else json_strict.document(body)


def instance(body: bytes | bytearray, width: int) -> Sequence[float]:
    """Read ``{"instance": x}`` or ``{"instance": [x1, ..., xd]}``.

    Raises:
        InvalidInput: anything else; it says what and where.
    """
    value = _only_member(body, "instance")
    if width == 1 and type(value) in NUMBERS:
        return (value,)  # type: ignore[return-value]  # mypy can't know what the set holds
    if type(value) is list and len(value) == width and NUMBERS.issuperset(map(type, value)):
        return value
    return json_strict.row(json_strict.member(json_strict.document(body), "instance"), width, "instance")


def instances(request: Request, width: int, *, others: bool = False) -> NDArray[np.float64]:
    """Read ``{"instances": [[x1, ..., xd], ...]}`` into shape (n, width).

    Where the width is 1, a flat list of numbers does as well. ``others`` lets other members stand beside it,
    as KServe does in its V1 protocol.

    Raises:
        InvalidInput: anything else; it says what and where.
    """
    body = request.body
    if len(body) > SMALL:
        if (inside := _inside(body, "instances")) is not None:
            return rows(body, *inside, width, "instances")
        if len(body) > PIECE:
            raise InvalidInput(
                f'a body of more than {PIECE} bytes must be {{"instances": [...]}} and no more'
            )
    member = json_strict.member(json_strict.document(body), "instances", others=others)
    return np.array(json_strict.table(member, width, "instances"), dtype=np.float64)


def few(body: bytes | bytearray, width: int) -> list[Sequence[float]] | None:
    """Read a small ``{"instances": ...}`` into rows; None where it is not small, or not plain."""
    if len(body) > SMALL:
        return None
    value = _only_member(body, "instances")
    if type(value) is not list or not value:
        return None
    if width == 1 and NUMBERS.issuperset(map(type, value)):
        return [(number,) for number in value]
    for row in value:
        if type(row) is not list or len(row) != width or not NUMBERS.issuperset(map(type, row)):
            return None
    return value


def rows(body: bytes | bytearray, start: int, stop: int, width: int, where: str) -> NDArray[np.float64]:
    """Read the inside of a long array, ``body[start:stop]``, into shape (n, width), a piece at a time.

    Raises:
        InvalidInput: a row that is none; it says which and why.
    """
    flat = width == 1 and body.find(b"[", start, stop) < 0
    parts: list[NDArray[np.float64]] = []
    count = 0
    for offset, piece in _pieces(body, start, stop, b"," if flat else b"],"):
        part = _flat(piece) if flat else _nested(piece, width)
        if part is None:
            document = json_strict.document(piece, offset=offset - 1)
            table = json_strict.table(document, width, where, first=count)
            part = np.array(table, dtype=np.float64).reshape(len(table), width)
        parts.append(part)
        count += len(part)
    if not count:
        raise InvalidInput(f"{where}: expected at least one instance, got an empty list")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def commas(body: bytes | bytearray) -> int:
    """Count commas: where they are many, in a tenth of the time of ``bytes.count``."""
    characters = np.frombuffer(body, dtype=np.uint8)
    pieces = (characters[start : start + PIECE] for start in range(0, len(characters), PIECE))
    return sum(int(np.count_nonzero(piece == ord(","))) for piece in pieces)


def prediction(value: float) -> bytes:
    """Write ``{"prediction": y}``."""
    return b'{"prediction":%b}' % orjson.dumps(value)


def predictions(values: NDArray[np.float64] | list[float]) -> bytes:
    """Write ``{"predictions": [y, ...]}``."""
    if len(values) <= _WRITTEN_AT_ONCE:
        return orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b'{"predictions":%b}' % array(values)


def array(values: NDArray[np.float64] | list[float]) -> bytes:
    """Write numbers of shape (n,) as a JSON array, the shortest digits that read back the same."""
    if len(values) <= _WRITTEN_AT_ONCE:
        return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    starts = range(0, len(values), _WRITTEN_AT_ONCE)
    parts = (array(values[i : i + _WRITTEN_AT_ONCE])[1:-1] for i in starts)
    return b"[%b]" % b",".join(parts)


def _strings(value: object) -> int:
    """How many strings a document holds; more quotes than theirs tell of a key that orjson dropped."""
    kind = type(value)
    if kind is str:
        return 1
    if kind is dict:
        return len(value) + sum(map(_strings, value.values()))  # type: ignore[attr-defined, arg-type]
    if kind is list and not NUMBERS.issuperset(map(type, value)):  # type: ignore[call-overload]
        return sum(map(_strings, value))  # type: ignore[call-overload]
    return 0


def _only_member(body: bytes | bytearray, key: str) -> object:
    """The value of the one member ``key`` of a small object; None where that is not exactly what it is.

    The count of quotes proves that no other key, no string and no duplicate, which orjson would hide, is
    there.
    """
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    if type(document) is dict and len(document) == 1 and body.count(b'"') == 2:
        return document.get(key)
    return None


def _inside(body: bytes | bytearray, key: str) -> tuple[int, int] | None:
    """Where the array stands in a body that is ``{"key": [...]}`` and no more."""
    begin = re.match(rb'[ \t\r\n]*\{[ \t\r\n]*"%b"[ \t\r\n]*:[ \t\r\n]*\[' % key.encode(), body)
    end = _END.search(body, max(0, len(body) - _END_BYTES))
    return (begin.end(), end.start()) if begin and end and begin.end() <= end.start() else None


def _pieces(body: bytes | bytearray, start: int, stop: int, between: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut the inside of an array at ends of rows into arrays of about ``PIECE`` bytes, with their offsets."""
    view = memoryview(body)
    while start < stop:
        cut = body.find(between, start + PIECE, stop)
        end = stop if cut < 0 else cut + len(between) - 1
        if end - start > PIECE + LONGEST_ROW:
            raise InvalidInput(f"a row of more than {LONGEST_ROW} bytes, after byte {start}")
        yield start, b"".join((b"[", view[start:end], b"]"))
        start = end + 1
        if cut >= 0 and start >= stop:
            raise InvalidInput("the body is not JSON: a comma before the end of a list")


def _flat(piece: bytes) -> NDArray[np.float64] | None:
    """Parse ``[x, ...]`` into shape (n, 1)."""
    numbers = _numbers(piece)
    return None if numbers is None or piece.find(b"[", 1) >= 0 else numbers.reshape(-1, 1)


def _nested(piece: bytes, width: int) -> NDArray[np.float64] | None:
    """Parse ``[[x1, ..., xd], ...]`` into shape (n, width); the parser flattens."""
    numbers = _numbers(piece)
    if numbers is None or not numbers.size or numbers.size % width:
        return None
    alike = _singles if width == 1 else _alike
    return numbers.reshape(-1, width) if alike(piece, numbers.size // width, width) else None


def _alike(piece: bytes, count: int, width: int) -> bool:
    """Whether a valid array is ``count`` rows of ``width``, by what stands between the numbers."""
    row = b"[" + b"," * (width - 1) + b"],"
    return piece.translate(None, _NOT_STRUCTURE) == b"[%b]" % (row * count)[:-1]


def _singles(piece: bytes, count: int, _width: int) -> bool:
    """Whether a valid array of ``count`` numbers is that many rows of one.

    It has as many brackets as that takes, and every comma stands between two rows: so no row holds two
    numbers, and none but the outermost list another list. Counting is several times quicker than taking out
    what stands between the numbers; that decides where the rows are not written alike.
    """
    characters = np.frombuffer(piece, dtype=np.uint8)
    opening, closing, commas = (characters == ord(mark) for mark in "[],")
    spaces = int(piece.find(b"], [", 0, _FIRST_ROWS) >= 0)
    between = commas[1 : len(commas) - 1 - spaces] & closing[: -2 - spaces] & opening[2 + spaces :]
    if np.count_nonzero(between) == np.count_nonzero(commas) == count - 1:
        return bool(np.count_nonzero(opening) == count + 1)
    return _alike(piece, count, 1)


def _numbers(piece: bytes) -> NDArray[np.float64] | None:
    try:
        array: Any = _parsers.parser.parse(piece)
        return np.frombuffer(array.as_buffer(of_type="d"), dtype=np.float64)
    except (ValueError, TypeError, RuntimeError):
        return None
