"""Reads columns of one local file, CSV or Parquet, with the values that are in it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from components.data.limits import too_many_columns
from components.data.problems import InvalidDataError
from components.data.settings import Settings
from components.data.sources.layout import Lines
from components.data.split import Mask

PARQUET_MAGIC = b"PAR1"
# Values of columns of which only some rows are wanted that are read at once.
VALUES_AT_ONCE = 2**24

SomeRows = Callable[[Sequence[str], Mask], pa.Table]
"""Reads columns of the rows that a mask of shape (n,) chooses."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is read of one file.

    Attributes:
        names: of all its columns.
        table: the wanted columns, of those that it has once.
        some_rows: reads other columns.
        lines: of a CSV file.
    """

    names: list[str]
    table: pa.Table
    some_rows: SomeRows
    lines: Lines | None = None


def read(name: str, path: Path, settings: Settings) -> Content:
    """Read the wanted columns of a file.

    Args:
        name: to call it by in an error.
        path: where it is; an ending such as ``.gz`` says that it is compressed.
        settings: which columns are wanted.

    Raises:
        SourceError: it is empty or neither CSV nor Parquet.
        InvalidDataError: a CSV file is malformed.
    """
    with path.open("rb") as file:
        magic = file.read(len(PARQUET_MAGIC))
    if magic == PARQUET_MAGIC:
        return _read_parquet(name, path, settings)
    from components.data.sources import csv_file

    return csv_file.read(name, path, settings)


def parquet_rows(file: BinaryIO) -> int | None:
    """Tell from the end of a Parquet file how many rows it has; None if it is no such file."""
    from pyarrow.parquet import read_metadata

    magic = file.read(len(PARQUET_MAGIC))
    return int(read_metadata(file).num_rows) if magic == PARQUET_MAGIC else None


def found_once(name: str, names: list[str], settings: Settings) -> list[str]:
    """Return the wanted columns, of those that ``names`` has once.

    Args:
        name: of the file, for errors.
        names: of all its columns.
        settings: which columns are wanted.

    Raises:
        InvalidDataError: there are more than a model may have. They would take much time and memory to read.
    """
    features = settings.features_among(names)
    if problem := too_many_columns(len(features), len(features), settings.document()):
        raise InvalidDataError(name, [problem])
    counts = Counter(names)
    wanted = dict.fromkeys([*features, settings.target, *filter(None, [settings.key])])
    return [column for column in wanted if counts[column] == 1]


def _read_parquet(name: str, path: Path, settings: Settings) -> Content:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, memory_map=True) as file:
        names = file.schema_arrow.names
        found = found_once(name, names, settings)
        return Content(names, file.read(columns=found).select(found), partial(_some_rows, path))


def _some_rows(path: Path, names: Sequence[str], chosen: Mask) -> pa.Table:
    """Read a few columns at a time, so that memory is needed for the chosen rows only."""
    from pyarrow.parquet import ParquetFile

    at_once = max(VALUES_AT_ONCE // max(chosen.size, 1), 1)
    with ParquetFile(path, memory_map=True) as file:
        parts = [
            file.read(columns=list(names[start : start + at_once])).filter(pa.array(chosen))
            for start in range(0, len(names), at_once)
        ]
    return side_by_side(parts)


def side_by_side(tables: Sequence[pa.Table]) -> pa.Table:
    """Return a table of the columns of all tables."""
    return pa.table({name: column for table in tables for name, column in _columns(table)})


def _columns(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    return zip(table.column_names, table.columns, strict=True)
