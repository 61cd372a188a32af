"""Reads recorded predictions and labels, and joins them into training data.

The predictor writes ``predictions/DAY/*.parquet`` and ``truths/DAY/*.parquet`` below one URL; see
``predictor/feedback/recorder.py`` for their columns.
"""

import posixpath
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

KEYS = ["_id", "_row"]
READ_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Joined:
    """Predictions with their labels.

    Attributes:
        rows: all columns of the predictions, and the labels' ``_target``, ``_labelled`` (when) and ``_day``.
        ambiguous: how many labels are left out because several predictions could be meant.
    """

    rows: pa.Table
    ambiguous: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """The files that were written.

    Attributes:
        rows: in the file of each day that has any.
        ambiguous: how many labels are left out because several predictions could be meant.
    """

    rows: Mapping[str, int]
    ambiguous: int = 0


def predictions(url: str, first_day: str = "", last_day: str = "9999") -> pa.Table:
    """Return what was predicted from ``first_day`` to ``last_day`` (``2026-01-31``), both included.

    Returns:
        A table with ``_id``, ``_row``, ``_principal``, ``_time``, ``_version``, the features and
        ``_prediction``; without columns if nothing was recorded. A row that was written twice is there once.
        ``_principal`` is null for rows that were recorded before principals were.
    """
    table = _read(url, "predictions", first_day, last_day)
    return _one_of_each(_with(table, "_principal"), [*KEYS, "_principal", "_time"], "max")


def truths(url: str, first_day: str = "", last_day: str = "9999") -> pa.Table:
    """Return the labels: ``_id``, ``_row``, ``_for``, ``_time``, ``_target`` and ``_day``.

    ``_for`` is whose prediction is labelled; null for anybody's. Of several labels with the same id, row and
    ``_for`` the last is returned.
    """
    return _one_of_each(_with(_read(url, "truths", first_day, last_day), "_for"), [*KEYS, "_for"], "max")


def join(predicted: pa.Table, labels: pa.Table) -> Joined:
    """Join predictions with their labels, in the order of their keys.

    A label is of the first prediction with its id and row that was made by the principal it speaks for. It is
    left out if there is none: it was lost, or is not made yet. It is also left out if several can be meant:
    if it speaks for all principals and more than one used the id, or if the principal sent different rows
    under one id. So nobody can put a row of their own under the label of another's.
    """
    if not predicted.num_rows or not labels.num_rows:
        return Joined(pa.table({}))
    numbered = labels.select([*KEYS, "_for", "_target", "_day"]).append_column("_labelled", labels["_time"])
    numbered = numbered.append_column("_label", pa.array(range(labels.num_rows), pa.int64()))
    pairs = _first_of_principals(predicted, labels).join(numbered, keys=KEYS, join_type="inner")
    unknown = pc.or_(pc.is_null(pairs["_for"]), pc.is_null(pairs["_principal"]))
    pairs = pairs.filter(pc.or_kleene(unknown, pc.equal(pairs["_for"], pairs["_principal"])))
    if not pairs.num_rows:
        return Joined(pa.table({}))
    label = pairs["_label"].to_numpy()
    clear = (np.bincount(label) == 1)[label] & pairs["_same"].to_numpy()
    rows = pairs.filter(pa.array(clear)).drop_columns(["_for", "_label", "_same"])
    rows = _one_of_each(rows, [*KEYS, "_principal"], "max", by="_labelled")
    return Joined(
        rows.sort_by([(key, "ascending") for key in KEYS]), ambiguous=int(np.unique(label[~clear]).size)
    )


def _first_of_principals(predicted: pa.Table, labels: pa.Table) -> pa.Table:
    """Return the first labelled prediction of each principal under each id and row.

    The column ``_same`` says whether everything that the principal sent under these has the same features.
    """
    keys = [*KEYS, "_principal"]
    labelled = predicted.drop_columns(["_day"]).join(labels.select(KEYS), keys=KEYS, join_type="left semi")
    features = [name for name in labelled.column_names if not name.startswith("_")]
    first = _one_of_each(labelled, keys, "min").sort_by([(key, "ascending") for key in keys])
    ranges = labelled.group_by(keys).aggregate([(name, end) for name in features for end in ("min", "max")])
    ranges = ranges.sort_by([(key, "ascending") for key in keys])
    same = np.ones(first.num_rows, dtype=bool)
    for name in features:
        equal = pc.equal(ranges[f"{name}_min"], ranges[f"{name}_max"])
        same &= pc.fill_null(equal, fill_value=True).to_numpy()  # null without the feature
    return first.append_column("_same", pa.array(same))


def collect(
    url: str, to: str, features: Sequence[str], target: str, first_day: str = "", last_day: str = "9999"
) -> Collected:
    """Write labelled predictions as sources for the pipeline: one Parquet file for each day of labels.

    A day's file holds the rows that were last labelled on it. Once the day is over it changes only if these
    rows are labelled again, and it is written anew, whole, when asked for again.

    Args:
        url: where the predictor records predictions and labels.
        to: a folder, or its URL.
        features: the columns to write, by the names of the model.
        target: the name of the last column, the true value.
        first_day: of the truths that are written.
        last_day: of the truths that are written.

    Raises:
        ValueError: a feature was not recorded.
    """
    system, root = url_to_fs(to)
    joined = join(predictions(url), truths(url, first_day))
    if not joined.rows.num_rows:
        return Collected({}, joined.ambiguous)
    if missing := sorted(set(features) - set(joined.rows.column_names)):
        raise ValueError(f"{', '.join(missing)}: not recorded below {url}")
    written = {}
    for day in _days(url, "truths", first_day, last_day):
        rows = joined.rows.filter(pc.field("_day") == day)
        if rows.num_rows:
            table = rows.select([*features, "_target"]).rename_columns([*features, target])
            _write(system, posixpath.join(root, f"{day}.parquet"), table)
            written[day] = rows.num_rows
    return Collected(written, joined.ambiguous)


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


def _with(table: pa.Table, name: str) -> pa.Table:
    """Add a text column of nulls if it is missing, as in files of earlier releases."""
    if not table.num_rows or name in table.column_names:
        return table
    return table.append_column(name, pa.nulls(table.num_rows, pa.string()))


def _one_of_each(table: pa.Table, keys: Sequence[str], which: str, by: str = "_time") -> pa.Table:
    """Keep the first (``which`` is ``min``) or the last (``max``) row by time of each key."""
    if not table.num_rows:
        return table
    ordered = table.sort_by(by)
    places = pa.array(range(table.num_rows), pa.int64())
    found = ordered.append_column("_place", places).group_by(keys).aggregate([("_place", which)])
    return ordered.take(found[f"_place_{which}"].sort())


def _write(system: AbstractFileSystem, path: str, table: pa.Table) -> None:
    """Write a file atomically."""
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
