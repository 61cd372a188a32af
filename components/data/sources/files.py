"""Reading columns of one local file, CSV or Parquet, as they stand there."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from components.data.problems import ROWS_LISTED, InvalidDataError, Problem, SourceError

SEPARATORS = ",;\t|"
PARQUET_MAGIC = b"PAR1"
HEAD_BYTES = 2**20
LINE_CHARACTERS = 80


def read(name: str, path: Path, wanted: Sequence[str]) -> tuple[list[str], pa.Table]:
    """Return the names of all columns of a file, and those of the wanted ones that it names once.

    Args:
        name: to call it by in an error.
        path: where it is; an ending such as ``.gz`` tells that it is compressed.
        wanted: the names of the columns.

    Raises:
        SourceError: it is empty or neither CSV nor Parquet.
        InvalidDataError: lines of a CSV file have more or fewer fields than its header.
    """
    with path.open("rb") as file:
        magic = file.read(len(PARQUET_MAGIC))
    return _read_parquet(path, wanted) if magic == PARQUET_MAGIC else _read_csv(name, path, wanted)


def parquet_rows(file: BinaryIO) -> int | None:
    """Tell from the end of a Parquet file how many rows it has; None if it is no such file."""
    from pyarrow.parquet import read_metadata

    magic = file.read(len(PARQUET_MAGIC))
    return int(read_metadata(file).num_rows) if magic == PARQUET_MAGIC else None


def _read_parquet(path: Path, wanted: Sequence[str]) -> tuple[list[str], pa.Table]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, memory_map=True) as file:
        names = file.schema_arrow.names
        found = [column for column in wanted if names.count(column) == 1]
        return names, file.read(columns=found).select(found)


def _read_csv(name: str, path: Path, wanted: Sequence[str]) -> tuple[list[str], pa.Table]:
    """Read a CSV file; its separator is that which finds the wanted columns in the header."""
    from pyarrow import csv as arrow_csv

    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(HEAD_BYTES)
    lines = re.split(r"\r\n|\n|\r", _decoded(name, head))
    skipped = next((number for number, line in enumerate(lines) if line.strip()), None)
    if skipped is None:
        raise SourceError(f"{name} is empty")
    separator, names = _header(lines[skipped], wanted)
    found = [column for column in wanted if names.count(column) == 1]
    distinct = _distinct(names)
    broken: list[str] = []

    def note(row: Any) -> str:
        broken.append(f"{row.actual_columns} fields instead of {row.expected_columns}: {row.text!r}")
        return "skip"

    table = arrow_csv.read_csv(
        pa.input_stream(str(path), compression="detect"),
        read_options=arrow_csv.ReadOptions(column_names=distinct, skip_rows=skipped + 1),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=note
        ),
        convert_options=arrow_csv.ConvertOptions(
            # Without any the rows are counted still, whatever stands in them.
            include_columns=found or distinct[:1],
            column_types=dict.fromkeys(found, pa.string()) or {distinct[0]: pa.binary()},
            strings_can_be_null=True,
        ),
    )
    if broken:
        raise InvalidDataError(name, [_broken_lines(broken)])
    return names, table.select(found)


def _decoded(name: str, head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{name} is UTF-16; save it as UTF-8")
    if b"\0" in head:
        raise SourceError(f"{name} is neither CSV nor Parquet: it holds binary data")
    # Only the header must be right: the end may cut a character, and other columns are of no concern.
    return head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")


def _header(line: str, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """Split the header by the separator that finds most of the wanted columns, or else most columns."""
    splits = [(separator, next(csv.reader([line], delimiter=separator))) for separator in SEPARATORS]
    return max(splits, key=lambda split: (len(set(wanted) & set(split[1])), len(split[1])))


def _distinct(names: Sequence[str]) -> list[str]:
    """Arrow finds a column by its name: give the columns that nobody asks for names of their own."""
    return [name if names.count(name) == 1 else f"\0{position}" for position, name in enumerate(names)]


def _broken_lines(broken: Sequence[str]) -> Problem:
    examples = tuple(("line", line[:LINE_CHARACTERS]) for line in broken[:ROWS_LISTED])
    return Problem("not as many fields as the header names", rows=len(broken), examples=examples)
