"""Reads columns of one local file, CSV or Parquet, with the values that are in it."""

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from components.data.settings import Settings
from components.data.sources.layout import Lines

PARQUET_MAGIC = b"PAR1"


def read(name: str, path: Path, settings: Settings) -> tuple[list[str], pa.Table, Lines | None]:
    """Return the names of all columns of a file, its features and target, and the lines of a CSV file.

    A column that is missing, or is in the file more than once, is left out.

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
        return _read_parquet(path, settings)
    from components.data.sources import csv_file

    return csv_file.read(name, path, settings)


def parquet_rows(file: BinaryIO) -> int | None:
    """Tell from the end of a Parquet file how many rows it has; None if it is no such file."""
    from pyarrow.parquet import read_metadata

    magic = file.read(len(PARQUET_MAGIC))
    return int(read_metadata(file).num_rows) if magic == PARQUET_MAGIC else None


def found_once(names: list[str], settings: Settings) -> list[str]:
    """Return the features and the target, of those that ``names`` has once."""
    counts = Counter(names)
    return [name for name in (*settings.features_among(names), settings.target) if counts[name] == 1]


def _read_parquet(path: Path, settings: Settings) -> tuple[list[str], pa.Table, None]:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, memory_map=True) as file:
        names = file.schema_arrow.names
        found = found_once(names, settings)
        return names, file.read(columns=found).select(found), None
