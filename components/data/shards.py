"""Shards of one data set: their dataset folders become that of the whole."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.data import dataset as datasets
from components.data import moments as moment
from components.data.dataset import TEST_FILE, TRAIN_FILE, Dataset, DatasetError, Rows
from components.data.moments import Moments
from components.data.problems import InvalidDataError, Problem
from components.data.settings import too_few
from predictor.model.inputs import Column

SOURCES_NAMED = 3


def merge(shards: Sequence[Dataset], folder: str | Path) -> Dataset:
    """Write the dataset folder of the rows of all shards, in their order.

    Numbers of rows, ranges, moments and distributions are those of one piece. The fingerprint of several
    shards is the SHA-256 of theirs. Rows are copied a row group at a time.

    Raises:
        DatasetError: the shards were made with different settings.
        InvalidDataError: all rows together are too few, or a column is constant.
        FileExistsError: the folder exists.
    """
    for shard in shards:
        if (_names(shard), shard.settings) != (_names(shards[0]), shards[0].settings):
            raise DatasetError(f"{shard.folder} was made with other settings than {shards[0].folder}")
    source = _named([shard.source for shard in shards])
    columns = [_joined(parts) for parts in zip(*map(_columns, shards), strict=True)]
    parts = [shard.moments for shard in shards if shard.moments]
    moments = moment.merge(parts) if parts else None
    if problems := list(_problems(shards, columns, moments)):
        raise InvalidDataError(source, [Problem(what) for what in problems])
    description = {
        "train_rows": sum(shard.train_rows for shard in shards),
        "kept_rows": sum(shard.kept_rows for shard in shards),
        "test_rows": sum(shard.test_rows for shard in shards),
        "fingerprint": _fingerprint([shard.fingerprint for shard in shards]),
        "source": source,
        "settings": shards[0].settings,
    }

    def fill(place: Path) -> None:
        for name in (TRAIN_FILE, TEST_FILE):
            _copy([shard.folder / name for shard in shards], place / name)

    seen = datasets.distributions(_kept(shards))
    return datasets.assemble(folder, columns, moments, description, seen, fill)


def _problems(shards: Sequence[Dataset], columns: Sequence[Column], moments: Moments | None) -> Iterator[str]:
    """Find what is wrong with the whole and need not be with a shard, which may be short, or all the same."""
    train, test = (sum(getattr(shard, name) for shard in shards) for name in ("train_rows", "test_rows"))
    if few := too_few(train, test, features=len(columns) - 1):
        yield few
        return
    variances = np.ldexp(moments.covariance.diagonal(), 2 * moments.exponent) if moments else np.empty(0)
    for position, (column, variance) in enumerate(zip(columns, variances, strict=True), 1):
        if not (column.minimum < column.maximum and variance > 0):
            role = "feature" if position < len(columns) else "target"
            yield f"{role} {column.name!r} is constant over the training rows"
    held_out = np.concatenate([shard.test([])[1] for shard in shards])
    if held_out.min() == held_out.max():
        said = "constant over the held-out rows: no score can be told from another"
        yield f"target {columns[-1].name!r} is {said}"


def _columns(shard: Dataset) -> tuple[Column, ...]:
    return (*shard.features, shard.target)


def _names(shard: Dataset) -> list[str]:
    return [column.name for column in _columns(shard)]


def _joined(parts: Sequence[Column]) -> Column:
    lowest, highest = min(part.minimum for part in parts), max(part.maximum for part in parts)
    return replace(parts[0], minimum=lowest, maximum=highest)


def _fingerprint(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


def _named(sources: Sequence[str]) -> str:
    """Name a few sources, and of many the first and the last."""
    if len(sources) <= SOURCES_NAMED:
        return ", ".join(sources)
    return f"{sources[0]} … {sources[-1]} ({len(sources)} sources)"


def _kept(shards: Sequence[Dataset]) -> Rows:
    rows = np.concatenate([np.column_stack(shard.train()) for shard in shards])
    return dict(zip(_names(shards[0]), rows.T, strict=True))


def _copy(parts: Iterable[Path], path: Path) -> None:
    with pq.ParquetWriter(path, pq.read_schema(next(iter(parts))), **datasets.PARQUET) as writer:
        for part in parts:
            with pq.ParquetFile(part, memory_map=True) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))
