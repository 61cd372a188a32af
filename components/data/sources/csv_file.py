"""Reading columns of a CSV file as text."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from components.data.problems import ROWS_LISTED, InvalidDataError, Problem, SourceError
from components.data.settings import Settings
from components.data.sources.files import found_once
from components.data.sources.layout import (
    BYTE_ORDER_MARK,
    HEAD_BYTES,
    SHOWN_CHARACTERS,
    Header,
    Lines,
    check_quotes,
    find_header,
)

# A row must fit into a block; larger blocks are read more slowly, so they are tried when a row does not.
BLOCK_BYTES = (2**20, 2**26, 2**31 - 1)
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".br")


def read(name: str, path: Path, settings: Settings) -> tuple[list[str], pa.Table, Lines]:
    """Return the names of all columns, features and target as text, and the lines in which rows begin.

    Args:
        name: of the file, for errors.
        path: where it is; an ending such as ``.gz`` says that it is compressed.
        settings: which columns are wanted.

    Raises:
        SourceError: the file is empty, cut off, or holds binary data.
        InvalidDataError: its header or its rows are malformed; every message says in which line.
    """
    header = _header(name, path, settings.columns)
    with _opened(path) as stream:
        lines = check_quotes(name, stream, header, settings.target)
    found = found_once(header.names, settings)
    table, broken = _read(path, header, found)
    if broken:
        broken = _read(path, header, found, threads=False)[1]  # only then Arrow numbers the rows
        raise InvalidDataError(name, [_broken(broken, header, lines)])
    return header.names, _as_text(name, table.select(found), lines), lines


def _opened(path: Path) -> Any:
    return pa.input_stream(str(path), compression="detect")


def _header(name: str, path: Path, wanted: Sequence[str]) -> Header:
    size = HEAD_BYTES
    while True:
        with _opened(path) as stream:
            head = bytes(stream.read(size))
        header = find_header(name, _decoded(name, head), wanted)
        # The header ends within the head: what follows it is there, or nothing is.
        if len(head) < size or (header and header.lines < len(head.splitlines())):
            break
        size *= 8
    if header is None:
        cut_off = path.suffix in COMPRESSED and not head
        raise SourceError(
            f"{name} is empty" + (", or was cut off: nothing can be unpacked" if cut_off else "")
        )
    return header


def _decoded(name: str, head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{name} is UTF-16; save it as UTF-8")
    if b"\0" in head:
        raise SourceError(f"{name} is neither CSV nor Parquet: it holds binary data")
    # Only the names of wanted columns must be right, and the end may cut a character.
    return head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", errors="replace")


def _read(
    path: Path, header: Header, found: Sequence[str], *, threads: bool = True
) -> tuple[pa.Table, list[tuple[int | None, str]]]:
    """Read columns as bytes; return lines that are no rows, with their number, beside the table."""
    broken: list[tuple[int | None, str]] = []

    def note(row: Any) -> str:
        what = (
            f"{row.actual_columns} fields instead of {row.expected_columns}: {row.text[:SHOWN_CHARACTERS]!r}"
        )
        broken.append((row.number, what))
        return "skip"

    distinct = _distinct(header.names)
    for block_bytes in BLOCK_BYTES:
        broken.clear()
        try:
            table = csv.read_csv(
                _opened(path),
                read_options=csv.ReadOptions(
                    column_names=distinct, skip_rows=header.lines, block_size=block_bytes, use_threads=threads
                ),
                parse_options=csv.ParseOptions(
                    delimiter=header.separator, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=csv.ConvertOptions(
                    # Without any column the rows are counted still.
                    include_columns=found or distinct[:1],
                    column_types=dict.fromkeys(found or distinct[:1], pa.binary()),
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            if "block size" not in str(error) or block_bytes == BLOCK_BYTES[-1]:
                raise
        else:
            return table, broken
    raise AssertionError  # the last block size either succeeds or raises


def _distinct(names: Sequence[str]) -> list[str]:
    """Arrow finds a column by its name: give the columns that nobody asks for names of their own."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"\0{position}" for position, name in enumerate(names)]


def _broken(broken: Sequence[tuple[int | None, str]], header: Header, lines: Lines) -> Problem:
    # Arrow counts the lines it skips, and then records.
    examples = tuple(
        (f"line {lines.of_row(number - header.lines - 1)}" if number else "a line", what)
        for number, what in broken[:ROWS_LISTED]
    )
    return Problem("not as many fields as the header names", rows=len(broken), examples=examples)


def _as_text(name: str, table: pa.Table, lines: Lines) -> pa.Table:
    problems = []
    columns = {}
    for column in table.column_names:
        try:
            columns[column] = table[column].cast(pa.large_string())
        except pa.ArrowInvalid:
            problems.append(_not_utf8(column, table[column], lines))
    if problems:
        raise InvalidDataError(name, problems)
    return pa.table(columns)


def _not_utf8(name: str, column: pa.ChunkedArray, lines: Lines) -> Problem:
    rows, examples = 0, list[tuple[str, str]]()
    for row, value in enumerate(column.to_pylist()):
        text = (value or b"").decode("utf-8", errors="replace")
        if "\N{REPLACEMENT CHARACTER}" in text and text.encode() != value:
            rows += 1
            if len(examples) < ROWS_LISTED:
                shown = repr(value[:SHOWN_CHARACTERS].decode("latin-1"))
                examples.append((f"line {lines.of_row(row)}", f"{shown} if it is Latin-1"))
    return Problem(
        f"column {name!r} has text that is not UTF-8", rows, tuple(examples), remedy="save the file as UTF-8"
    )
