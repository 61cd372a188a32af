"""The layout of a CSV file: its header, its separator, and which of its lines begin a row.

Arrow's reader takes a quote that is never closed for text up to the end of the file, and drops the rows in
between without a word. So the quotes are checked before it reads.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.problems import InvalidDataError, Problem, SourceError
from predictor.model.text import SEPARATORS, is_number

HEAD_BYTES = 2**20
CHUNK_BYTES = 2**24
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How many lines are searched for a header that is not the first line.
LINES_SEARCHED = 30
SHOWN_CHARACTERS = 80

_LINE_END = re.compile(r"\r\n|\n|\r")
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a CSV file.

    Attributes:
        separator: of the fields, one character.
        names: of the columns.
        lines: how many lines end with the header.
    """

    separator: str
    names: list[str]
    lines: int


def find_header(name: str, head: str, wanted: Sequence[str]) -> Header | None:
    """Find the header in the beginning of a file.

    It is the first line that is neither blank, nor a comment (``#``), nor Excel's ``sep=;``. The separator is
    the one that finds most of the wanted columns, or else most columns.

    Returns:
        None if the beginning is blank.

    Raises:
        InvalidDataError: none of the wanted columns is in this line, and all are in a later one.
    """
    first, separators = None, SEPARATORS
    for start, number in _lines(head):
        line = head[start : _line_end(head, start)]
        if not line.strip():
            continue
        if first is None and (named := _EXCEL.fullmatch(line)):
            separators = named[1]
            continue
        header = _split(head, start, number, separators, wanted)
        found = len(set(wanted) & set(header.names))
        if first is None and (found or not line.startswith("#")):
            first = header
            if found:
                return first
        elif found == len(set(wanted)):
            raise InvalidDataError(name, [_header_further_down(first, line, number, header, wanted)])
        if number > LINES_SEARCHED:
            break
    return first


@dataclass(slots=True)
class Lines:
    """Which lines of a file begin no row: those before its end, blank ones, and those within quotes.

    Attributes:
        first: how many lines end with the header.
        others: the numbers of later lines that begin no row, from 1, increasing.
    """

    first: int
    others: list[NDArray[np.int64]] = field(default_factory=list)

    def of_row(self, row: int) -> int:
        """Return the number, from 1, of the line in which a row begins; rows count from 0."""
        others = np.concatenate([np.empty(0, dtype=np.int64), *self.others])
        others = others[others > self.first]
        # How many rows begin before each of the other lines.
        before = others - self.first - 1 - np.arange(others.size)
        return self.first + 1 + row + int(np.searchsorted(before, row, side="right"))


def check_quotes(name: str, stream: Any, header: Header, target: str) -> Lines:
    """Read a file once to find quotes that are not closed, and which lines begin a row.

    Args:
        name: of the file, for errors.
        stream: the file, from its beginning, binary.
        header: of the file.
        target: a column that holds numbers, by which lines within quotes are recognised as rows.

    Raises:
        InvalidDataError: a quote is never closed, is closed after lines that look like rows, or text follows
            it. The message says in which line.
        SourceError: the file holds binary data.
    """
    scan = _Scan(name, header, target)
    for number, chunk in enumerate(_chunks(stream)):
        if b"\0" in chunk:
            raise SourceError(f"{name} is neither CSV nor Parquet: it holds binary data")
        scan.read(chunk.removeprefix(BYTE_ORDER_MARK) if number == 0 else chunk)
    scan.end()
    return scan.lines


class _Scan:
    """Follows quotes and line ends through the chunks of a file, each of which ends with a line."""

    def __init__(self, name: str, header: Header, target: str) -> None:
        self.name = name
        self.header = header
        self.lines = Lines(header.lines)
        self._target = header.names.index(target) if target in header.names else None
        self._ends = (ord(header.separator), _NEWLINE, _RETURN)
        self._line = 1  # of the beginning of the chunk
        self._opened = 0  # the line of the quote that is open
        self._suspect = False  # whether it seems to be one that was meant to be closed before
        self._check = False  # whether the first line within the open quote is yet to be looked at

    def read(self, chunk: bytes) -> None:
        data = np.frombuffer(chunk, dtype=np.uint8)
        newlines = _newlines(chunk, data)
        within = np.full(newlines.size, bool(self._opened))
        if _QUOTE in chunk or self._opened:
            opens, closes = self._pairs(data, newlines)
            depth = np.searchsorted(opens, newlines) - np.searchsorted(closes, newlines)
            within = depth + bool(self._opened) > 0
            self._look(chunk, newlines, within, opens, closes)
        begins = np.concatenate([[0], newlines[:-1] + 1])
        ends = newlines - ((newlines > begins) & (data[newlines - 1] == _RETURN))
        blank = (ends == begins) & ~within
        # A newline within quotes makes the next line one that begins no row.
        others = np.union1d(np.flatnonzero(blank), np.flatnonzero(within) + 1)
        if others.size:
            self.lines.others.append(others + self._line)
        self._line += newlines.size

    def end(self) -> None:
        if self._opened:
            self._refuse(f"a quote opens in line {self._opened} and is never closed")

    def _pairs(self, data: Bytes, newlines: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions of the quotes that open fields, and of those that close them."""
        quotes = np.flatnonzero(data == _QUOTE)
        follows = np.append(np.diff(quotes) == 1, [False])[: quotes.size]
        preceded = np.concatenate([[False], follows[:-1]])[: quotes.size]
        before = np.where(quotes > 0, data[quotes - 1], _NEWLINE)
        after = data[np.minimum(quotes + 1, data.size - 1)]
        opening = (np.arange(quotes.size) + bool(self._opened)) % 2 == 0
        if np.all(
            np.where(opening, np.isin(before, self._ends) | preceded, np.isin(after, self._ends) | follows)
        ):
            return quotes[opening], quotes[~opening]
        return self._pairs_one_by_one(data, quotes, newlines)

    def _pairs_one_by_one(
        self, data: Bytes, quotes: NDArray[np.int64], newlines: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Do the same where quotes also stand within fields, as in ``6" pipe``."""
        opens, closes, inside, position = [], [], bool(self._opened), 0
        places = quotes.tolist()
        while position < len(places):
            place = places[position]
            position += 1
            if not inside:
                if place == 0 or data[place - 1] in self._ends:
                    opens.append(place)
                    inside = True
            elif position < len(places) and places[position] == place + 1:
                position += 1  # a quote within quotes is written twice
            else:
                closes.append(place)
                inside = False
                if data[place + 1] not in self._ends:
                    line = self._line + int(np.searchsorted(newlines, place))
                    self._refuse(
                        f"text follows a closing quote in line {line}: is a quote missing before it?"
                    )
        return np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64)

    def _look(
        self,
        chunk: bytes,
        newlines: NDArray[np.int64],
        within: NDArray[np.bool_],
        opens: NDArray[np.int64],
        closes: NDArray[np.int64],
    ) -> None:
        """Look at the first line within each pair of quotes; and keep which quote is open at the end."""
        self._refuse_suspect(newlines, closes)
        if self._check:
            self._look_at(chunk, 0, newlines, closes)
            self._check = False
        inner = np.flatnonzero(within)
        starts = np.searchsorted(opens, newlines[inner])
        for number in inner[np.diff(starts, prepend=0) > 0].tolist():
            last = int(np.searchsorted(opens, newlines[number])) - 1
            self._opened = self._line + int(np.searchsorted(newlines, opens[last]))
            if number + 1 < newlines.size:
                self._look_at(chunk, int(newlines[number]) + 1, newlines, closes)
            else:
                self._check = True
        if not (within.size and within[-1]):
            self._opened = 0

    def _look_at(
        self, chunk: bytes, start: int, newlines: NDArray[np.int64], closes: NDArray[np.int64]
    ) -> None:
        """Suspect a quote whose next line, within the quotes, looks like a row."""
        stop = int(newlines[np.searchsorted(newlines, start)])
        later = closes[np.searchsorted(closes, start) :]
        if later.size:
            stop = min(stop, int(later[0]))
        fields = chunk[start:stop].split(self.header.separator.encode())
        if self._target is None or len(fields) != len(self.header.names) or len(fields) == 1:
            return
        self._suspect = is_number(fields[self._target])
        self._refuse_suspect(newlines, later)

    def _refuse_suspect(self, newlines: NDArray[np.int64], closes: NDArray[np.int64]) -> None:
        if self._suspect and closes.size:
            line = self._line + int(np.searchsorted(newlines, closes[0]))
            self._refuse(
                f"a quote opens in line {self._opened} and closes in line {line}, and between them are "
                "lines that look like rows: is the closing quote missing?"
            )

    def _refuse(self, what: str) -> None:
        raise InvalidDataError(self.name, [Problem(what)])


def _chunks(stream: Any) -> Iterator[bytes]:
    """Give the bytes of a file in chunks that end with a line."""
    rest = b""
    while block := stream.read(CHUNK_BYTES):
        block = rest + block
        end = block.rfind(b"\n") + 1 or block[:-1].rfind(b"\r") + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest + b"\n"


def _newlines(chunk: bytes, data: Bytes) -> NDArray[np.int64]:
    """Return the positions at which lines end."""
    newlines = data == _NEWLINE
    if b"\r" in chunk:
        returns = data == _RETURN
        newlines |= returns & (np.append(data[1:], _NEWLINE) != _NEWLINE)
    return np.flatnonzero(newlines)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Give the position and the number, from 0, of each line."""
    yield 0, 0
    for number, match in enumerate(_LINE_END.finditer(text), 1):
        yield match.end(), number


def _line_end(text: str, start: int) -> int:
    match = _LINE_END.search(text, start)
    return match.start() if match else len(text)


def _split(text: str, start: int, before: int, separators: str, wanted: Sequence[str]) -> Header:
    headers = [_record(text, start, before, separator) for separator in separators]
    return max(headers, key=lambda header: (len(set(wanted) & set(header.names)), len(header.names)))


def _record(text: str, start: int, before: int, separator: str) -> Header:
    """Split the record that begins at ``start``; a quoted field may hold separators and line ends."""
    pattern = re.compile(
        rf'(?:"((?:[^"]|"")*)"|([^{re.escape(separator)}\r\n]*))({re.escape(separator)}|\r\n|\n|\r|\Z)'
    )
    names, position, lines = [], start, before + 1
    while match := pattern.match(text, position):
        quoted, plain, end = match.groups()
        names.append((plain if quoted is None else quoted.replace('""', '"')).strip())
        lines += len(_LINE_END.findall(quoted or ""))
        position = match.end()
        if end != separator:
            break
    return Header(separator, names, lines)


def _header_further_down(
    first: Header | None, line: str, number: int, header: Header, wanted: Sequence[str]
) -> Problem:
    named = f"column {wanted[0]!r}" if len(wanted) == 1 else "any of the columns"
    begins = header.separator.join(first.names)[:SHOWN_CHARACTERS] if first else ""
    return Problem(
        f"the first line ({begins!r}) does not name {named}; line {number + 1} seems to be the header "
        f"({line[:SHOWN_CHARACTERS]!r})",
        remedy="delete the lines before it",
    )
