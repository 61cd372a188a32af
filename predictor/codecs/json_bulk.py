"""The bulk JSON reader: long arrays, piece by piece, by simdjson without an object for each number.

If a piece holds anything but plain rows, the strict reader reads it instead. A piece fits the processor's
cache, bounds the parser's memory, and holds the interpreter's lock for a few milliseconds.
"""

import json
import re
from collections.abc import Callable, Sequence
from threading import local
from typing import Any, Protocol

import numpy as np
import simdjson
from numpy.typing import NDArray

from predictor.codecs import json_document
from predictor.codecs.cost import require_cheap
from predictor.codecs.json_document import Array
from predictor.codecs.json_strict import DECODER, Unrepresentable, Where, place
from predictor.errors import InvalidInput
from predictor.messages import Request

PIECE = 2**20
"""Bytes that are parsed at once, and the longest element."""

_NOT_STRUCTURE = b"0123456789+-.eE \t\r\n"
_COMMA = re.compile(rb"[ \t\r\n]*,")
_SPACE = re.compile(r"[ \t\r\n]*")
_NEXT = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")
_FIRST_ROWS = 64
_SHORT = 2**15
"""Bytes of a piece up to which numpy's calls take longer than to look at each byte."""


class Elements(Protocol):
    """Reads the elements of an array.

    Attributes:
        end: the last byte of an element that is a list or an object; empty for other values.
        width: the numbers of an element.
        counted: whether the number of commas gives that of the numbers; otherwise it gives an upper bound.
    """

    end: bytes
    width: int
    counted: bool

    def plain(self, piece: bytes) -> NDArray[np.float64] | None:
        """Return the numbers of a JSON array of elements; None if it is not plain."""

    def strict(self, element: Any, where: Where) -> Sequence[float]:
        """Return the numbers of one element of any form.

        Raises:
            InvalidInput: it is malformed.
        """


_ELEMENT_COST = 8
"""An element of one character takes as long as so many bytes of longer ones."""


class _Parsers(local):
    """A parser for each thread: it owns the buffer that it parses into."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_parsers = _Parsers()


def read(
    array: Array, elements: Elements, request: Request, where: str, check: Callable[[int], None]
) -> NDArray[np.float64]:
    """Read the numbers of an array, one after the other, into shape (n,).

    Args:
        array: where the elements are.
        elements: how to read them.
        request: the request, for its deadline.
        where: the place of the array, for messages.
        check: is called with a count of numbers, before they are read where they can be counted, and else
            with those read so far; it raises if that is too many.

    Raises:
        InvalidInput: an element is malformed, or longer than a piece.
        TooCostly: the strict reader would take too long on the event loop.
    """
    if array.stop - array.start <= PIECE and (part := _plain(array, array.start, elements)):
        check(len(part[0]))
        return part[0]
    most = count(array.text, b",", array.start, array.stop) + 1
    if elements.counted:
        check(most)
    start, index, size = array.start, 0, 0
    values = np.empty(most)
    while start < array.stop:
        request.checkpoint()
        found, elements_read, start = _plain(array, start, elements) or _strict(
            array, start, index, elements, request, where
        )
        values[size : size + len(found)] = found
        size, index = size + len(found), index + elements_read
        check(size)
    return values[:size]


def numbers(piece: bytes) -> NDArray[np.float64] | None:
    """Return the numbers of a JSON array in order, also of arrays within; None if there is anything else."""
    try:
        array: Any = _parsers.parser.parse(piece)
        return np.frombuffer(array.as_buffer(of_type="d"), dtype=np.float64)
    except (ValueError, TypeError, RuntimeError):
        return None


def rows(piece: bytes, width: int) -> NDArray[np.float64] | None:
    """Return the numbers of a JSON array of rows of ``width`` numbers; None if it is anything else."""
    found = numbers(piece)
    if found is None or not found.size or found.size % width:
        return None
    alike = _is_singles if width == 1 and len(piece) > _SHORT else _is_rows
    return found if alike(piece, found.size // width, width) else None


def count(text: bytes | bytearray | memoryview, mark: bytes, start: int = 0, stop: int | None = None) -> int:
    """Count a character; in a long text it takes a tenth of the time of ``bytes.count``."""
    if len(text) < _SHORT and not isinstance(text, memoryview):
        return text.count(mark, start, stop)
    characters = np.frombuffer(text, np.uint8)[start:stop]
    pieces = (characters[first : first + PIECE] for first in range(0, len(characters), PIECE))
    return sum(int(np.count_nonzero(piece == ord(mark))) for piece in pieces)


Part = tuple[NDArray[np.float64], int, int]
"""Numbers, how many elements they are, and where the next element begins."""


def _plain(array: Array, start: int, elements: Elements) -> Part | None:
    """Read the elements that end within a piece; None if they are not plain."""
    end, following = _cut(array, start, elements.end)
    if not following:
        return None
    found = elements.plain(b"".join((b"[", memoryview(array.text)[start:end], b"]")))
    return None if found is None else (found, len(found) // elements.width, following)


def _cut(array: Array, start: int, mark: bytes) -> tuple[int, int]:
    """Return where the last element within a piece ends, and where the next begins; 0 if that is unknown."""
    text, stop = array.text, array.stop
    if stop - start <= PIECE:
        return stop, stop
    end = text.rfind(mark or b",", start, start + PIECE)
    end += len(mark)
    comma = _COMMA.match(text, end, stop) if end >= start else None
    return (end, comma.end()) if comma and comma.end() < stop else (end, 0)


def _strict(array: Array, start: int, index: int, elements: Elements, request: Request, where: str) -> Part:
    """Read the elements that begin within a piece one by one; ``index`` is the number of the first."""
    if not array.checked:
        raise InvalidInput(f"{where}: not plain")
    if request.inline:
        require_cheap(array.stop - start, inline=True)
        require_cheap(_ELEMENT_COST * count(array.text, b",", start, array.stop), inline=True)
    stop = min(start + 2 * PIECE, array.stop)
    # Only the last character can be cut off: the whole is valid.
    text = array.text[start:stop].decode(errors="ignore")
    found: list[float] = []
    position, first = _skip(_SPACE, text, 0), index
    while position < len(text) and (position < PIECE or stop == array.stop):
        try:
            element, end = DECODER.raw_decode(text, position)
        except json.JSONDecodeError:
            element, end = Unrepresentable(text[position:]), len(text)
        except RecursionError:
            raise InvalidInput(json_document.TOO_DEEP) from None
        cut_off = end == len(text) and stop < array.stop
        if cut_off and index > first:
            break
        if cut_off or end - position > PIECE:
            raise InvalidInput(f"{place((where, index))}: longer than {PIECE} bytes")
        found.extend(elements.strict(element, (where, index)))
        position, index = _skip(_NEXT, text, end), index + 1
    return np.array(found, np.float64), index - first, start + len(text[:position].encode())


def _skip(pattern: "re.Pattern[str]", text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _is_rows(piece: bytes, count: int, width: int) -> bool:
    """Return whether a valid array is ``count`` rows of ``width``, by what is between the numbers."""
    row = b"[" + b"," * (width - 1) + b"],"
    return piece.translate(None, _NOT_STRUCTURE) == b"[%b]" % (row * count)[:-1]


def _is_singles(piece: bytes, count: int, _width: int) -> bool:
    """Return whether a valid array of ``count`` numbers is that many rows of one.

    It is if every comma is between a closing and an opening bracket, and there are as many brackets as rows
    need. That is counted faster than what is between the numbers can be taken out; rows that are not
    separated in the same way are left to ``_is_rows``.
    """
    characters = np.frombuffer(piece, dtype=np.uint8)
    opening, closing, commas = (characters == ord(mark) for mark in "[],")
    spaces = int(piece.find(b"], [", 0, _FIRST_ROWS) >= 0)
    between = commas[1 : len(commas) - 1 - spaces] & closing[: -2 - spaces] & opening[2 + spaces :]
    if np.count_nonzero(between) == np.count_nonzero(commas) == count - 1:
        return bool(np.count_nonzero(opening) == count + 1)
    return _is_rows(piece, count, 1)
