"""Moments of Parquet files of any size, in memory that does not grow with them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.data.moments import Moments, merge

# Small against a row group, large against the cost of a batch.
BATCH_ROWS = 131_072
READ_BYTES = 1 << 20

Floats = NDArray[np.float64]


def parquet_moments(path: str | Path, features: Sequence[str], target: str) -> Moments:
    """Take the moments of named columns, reading the next batch of rows while the present one is summed.

    A row group is never held whole: pages are read through a buffer of a fixed size.

    Raises:
        ValueError: a column is missing or not numeric, a value is null or not finite, or there are no rows.
            It names the file, and the column and the rows where that helps.
    """
    # The defaults read ahead whole column chunks, which grow with the row group.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
        columns = [*features, target]
        if missing := [name for name in columns if name not in file.schema_arrow.names]:
            raise ValueError(f"{path}: there is no column {missing[0]!r}")
        if file.metadata.num_rows == 0:
            raise ValueError(f"{path}: there are no rows")
        batches = file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
        return merge(_moments(_ahead(batches), columns, path))


def _moments(batches: Iterator[pa.RecordBatch], columns: list[str], path: str | Path) -> Iterator[Moments]:
    row = 0
    for batch in batches:
        values = [_values(batch, name, row, path) for name in columns]
        X = values[0][:, np.newaxis] if len(columns) == 2 else np.stack(values[:-1]).T
        moments = Moments.of(X, values[-1])
        if not moments.finite:
            finite = [bool(np.isfinite(column).all()) for column in values]
            name, end = columns[finite.index(False)], row + batch.num_rows
            raise ValueError(f"{path}: column {name!r} has a value that is not finite in rows {row} to {end}")
        row += batch.num_rows
        yield moments


def _values(batch: pa.RecordBatch, name: str, row: int, path: str | Path) -> Floats:
    column = batch.column(name)
    if column.null_count:
        raise ValueError(f"{path}: column {name!r} has a null in rows {row} to {row + batch.num_rows}")
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise ValueError(f"{path}: column {name!r} is {column.type}, not a number")
    values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read one batch ahead in a thread of its own."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
