"""What the predictor kept, read back: what was predicted, what came true, and the two joined into new data.

The predictor writes ``predictions/DAY/*.parquet`` and ``truths/DAY/*.parquet`` below one URL; see
``predictor/feedback/recorder.py`` for their columns.
"""

import posixpath
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

KEYS = ["_id", "_row"]
READ_AT_ONCE = 16


def predictions(url: str, first_day: str = "", last_day: str = "9999") -> pa.Table:
    """What was predicted in the days from ``first_day`` to ``last_day`` (``2026-01-31``), both included.

    Returns:
        A table with ``_id``, ``_row``, ``_time``, ``_version``, the features and ``_prediction``, a row once;
        without columns where nothing was kept.
    """
    return _last_of_each(_read(url, "predictions", first_day, last_day))


def truths(url: str, first_day: str = "", last_day: str = "9999") -> pa.Table:
    """What came true: ``_id``, ``_row``, ``_time``, ``_target``, ``_day``; the last word on a row counts."""
    return _last_of_each(_read(url, "truths", first_day, last_day))


def join(predicted: pa.Table, told: pa.Table) -> pa.Table:
    """The rows that were both predicted and told of, in the order of their keys.

    A truth without its prediction is left out: it was lost, or told before it was predicted.
    """
    if not predicted.num_rows or not told.num_rows:
        empty = pa.schema([*predicted.schema, *(field for field in told.schema if field.name == "_target")])
        return empty.empty_table()
    joined = predicted.join(told.select([*KEYS, "_target"]), keys=KEYS, join_type="inner")
    return joined.sort_by([(key, "ascending") for key in KEYS])


def collect(
    url: str, to: str, features: Sequence[str], target: str, first_day: str = "", last_day: str = "9999"
) -> dict[str, int]:
    """Write what came true as sources for the pipeline: one Parquet file for each day of ``truths``.

    A day's file holds the truths that were last told on it. Once the day is over it changes only where
    something else is told of the same rows, and it is written anew, whole, when asked for again.

    Args:
        url: where the predictor keeps what it saw.
        to: a folder, or its URL.
        features: the columns to write, by the names of the model.
        target: the name of the last column, the true value.
        first_day: of the truths that are written.
        last_day: of the truths that are written.

    Returns:
        The rows in the file of each day that has any.

    Raises:
        ValueError: what was kept has not all the features.
    """
    system, root = url_to_fs(to)
    predicted, told = predictions(url), truths(url, first_day)
    written = {}
    for day in _days(url, "truths", first_day, last_day) if told.num_rows else ():
        rows = join(predicted, told.filter(pc.field("_day") == day))
        if not rows.num_rows:
            continue
        if missing := sorted(set(features) - set(rows.column_names)):
            raise ValueError(f"{', '.join(missing)}: no such feature was kept below {url}")
        table = rows.select([*features, "_target"]).rename_columns([*features, target])
        _write(system, posixpath.join(root, f"{day}.parquet"), table)
        written[day] = rows.num_rows
    return written


def _days(url: str, kind: str, first: str, last: str) -> list[str]:
    system, root = url_to_fs(url)
    folder = posixpath.join(root, kind)
    if not system.isdir(folder):
        return []
    days = (entry.rstrip("/").rpartition("/")[2] for entry in system.ls(folder, detail=False))
    return sorted(day for day in days if first <= day <= last)


def _read(url: str, kind: str, first: str, last: str) -> pa.Table:
    system, root = url_to_fs(url)

    def read(place: tuple[str, str]) -> pa.Table:
        day, path = place
        # In one request: many small files are read faster whole.
        table = pq.read_table(pa.BufferReader(system.cat_file(path)))
        return table.append_column("_day", pa.repeat(day, table.num_rows))

    places = [
        (day, path)
        for day in _days(url, kind, first, last)
        # A name that begins with a dot is a file that was not finished.
        for path in sorted(system.glob(posixpath.join(root, kind, day, "[!.]*.parquet")))
    ]
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        tables = list(pool.map(read, places))
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _last_of_each(table: pa.Table) -> pa.Table:
    """Keep the last row of each key: what was stored just before a crash may have been sent again."""
    if not table.num_rows:
        return table
    ordered = table.sort_by("_time")
    places = pa.array(range(table.num_rows), pa.int64())
    last = ordered.append_column("_place", places).group_by(KEYS).aggregate([("_place", "max")])
    return ordered.take(last["_place_max"].sort())


def _write(system: AbstractFileSystem, path: str, table: pa.Table) -> None:
    """Write a file whole or not at all."""
    if isinstance(system, LocalFileSystem):
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        staging = place.with_name(f".{place.name}")
        pq.write_table(table, staging)
        staging.rename(place)
        return
    with tempfile.TemporaryDirectory() as folder:  # an object store shows an object once it is complete
        local = Path(folder, "rows.parquet")
        pq.write_table(table, local)
        system.put_file(str(local), path)
