"""Reads columns of a CSV file as text."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from components.data.problems import ROWS_LISTED, InvalidDataError, Problem, SourceError
from components.data.settings import Settings
from components.data.sources.files import Content, found_once
from components.data.sources.layout import (
    BYTE_ORDER_MARK,
    HEAD_BYTES,
    SHOWN_CHARACTERS,
    Header,
    Lines,
    check_quotes,
    find_header,
)
from components.data.split import Mask
from predictor.model.text import MISSING

# A row must fit into a block; larger blocks are read more slowly, so they are tried when a row does not.
BLOCK_BYTES = (2**20, 2**26, 2**31 - 1)
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".br")
SEEMS = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the table as CSV",
    b"\x1f\x8b": "compressed by gzip; let its name end in .gz",
    b'{"': "JSON; save the table as CSV or Parquet",
    b"[{": "JSON; save the table as CSV or Parquet",
}


def read(name: str, path: Path, settings: Settings) -> Content:
    """Read the wanted columns of a file as text.

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
    found = found_once(name, header.names, settings)
    table, broken = _read(path, header, found)
    if broken:
        broken = _read(path, header, found, threads=False)[1]  # only then Arrow numbers the rows
        raise InvalidDataError(name, [_broken(broken, header, lines)])
    table = _as_text(name, table.select(found), lines)
    return Content(header.names, table, partial(_some_rows, path, header), lines)


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
    for magic, seems in SEEMS.items():
        if head.startswith(magic):
            raise SourceError(f"{name} seems to be {seems}")
    if b"\0" in head:
        raise SourceError(f"{name} is neither CSV nor Parquet: it holds binary data")
    # Only the names of wanted columns must be right, and the end may cut a character.
    return head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", errors="replace")


def _read(
    path: Path, header: Header, found: Sequence[str], *, threads: bool = True
) -> tuple[pa.Table, list[tuple[int | None, str]]]:
    """Read columns as bytes; also return the malformed lines with their numbers."""
    broken: list[tuple[int | None, str]] = []

    def note(row: Any) -> str:
        what = (
            f"{row.actual_columns} fields instead of {row.expected_columns}: {row.text[:SHOWN_CHARACTERS]!r}"
        )
        broken.append((row.number, what))
        return "skip"

    def whole(block_bytes: int) -> pa.Table:
        broken.clear()
        return csv.read_csv(_opened(path), **_options(header, found, block_bytes, note, threads=threads))

    table = _with_any_block(whole)
    return _no_rows(found) if table is None else table, broken


def _some_rows(path: Path, header: Header, names: Sequence[str], chosen: Mask) -> pa.Table:
    """Read columns of the chosen rows, block by block; those that are not UTF-8 are left out.

    It is called only after all lines were found to be rows.
    """

    def some(block_bytes: int) -> pa.Table:
        options = _options(header, names, block_bytes)
        parts, start = [], 0
        with csv.open_csv(_opened(path), **options) as reader:
            for batch in reader:
                mask = pa.array(chosen[start : start + batch.num_rows])
                parts.append(batch.filter(mask))
                start += batch.num_rows
            return pa.Table.from_batches(parts, reader.schema)

    if not names:
        return pa.table({})
    table = _with_any_block(some)
    if table is None:
        table = _no_rows(names)
    texts = {}
    for name in names:
        with suppress(pa.ArrowInvalid):
            texts[name] = table[name].cast(pa.large_string())
    return pa.table(texts)


def _no_rows(names: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.chunked_array([], pa.binary()) for name in names})


def _options(
    header: Header,
    names: Sequence[str],
    block_bytes: int,
    broken: Callable[[Any], str] | None = None,
    *,
    threads: bool = True,
) -> dict[str, Any]:
    distinct = _distinct(header.names)
    # Without any column the rows are counted still.
    columns = list(names) or distinct[:1]
    return {
        "read_options": csv.ReadOptions(
            column_names=distinct, skip_rows=header.lines, block_size=block_bytes, use_threads=threads
        ),
        "parse_options": csv.ParseOptions(
            delimiter=header.separator, newlines_in_values=True, invalid_row_handler=broken
        ),
        "convert_options": csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.binary()),
            strings_can_be_null=True,
            null_values=sorted(MISSING),
        ),
    }


def _with_any_block(read: Callable[[int], pa.Table]) -> pa.Table | None:
    """Read with small blocks, and with larger ones if a row does not fit into them.

    Returns:
        None if the file ends with its header, without a line end.
    """
    for block_bytes in BLOCK_BYTES:
        try:
            return read(block_bytes)
        except pa.ArrowInvalid as error:
            if "block size" not in str(error):
                raise
            failure = error
    if "Could not skip" in str(failure):
        return None
    raise failure


def _distinct(names: Sequence[str]) -> list[str]:
    """Make repeated names distinct, because Arrow finds columns by name; wanted columns are not repeated."""
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
