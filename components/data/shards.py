"""Merges the dataset folders of shards into the dataset folder of all rows."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.data import dataset as datasets
from components.data import expanded, other_columns
from components.data import moments as moment
from components.data.columns import Gaps, Rows, Summary, distributions
from components.data.columns import merge as merge_columns
from components.data.dataset import GROUPS_FILE, OTHERS_FILE, TEST_FILE, TRAIN_FILE, Dataset
from components.data.description import DatasetError
from components.data.limits import excluding, too_few, too_many_categories, too_many_columns
from components.data.moments import Moments
from components.data.problems import InvalidDataError, Problem
from predictor.model.inputs import Column
from predictor.model.one_hot import widths

SOURCES_NAMED = 3
CATEGORIES_NAMED = 5


def merge(shards: Sequence[Dataset], folder: str | Path) -> Dataset:
    """Write the dataset folder of the rows of all shards, in their order.

    Numbers of rows, ranges, categories, moments, distributions and the replacements of missing values are
    those of one piece. The fingerprint of several shards is the SHA-256 of their fingerprints. Rows are
    copied one row group at a time.

    Raises:
        DatasetError: the shards were made with different settings.
        InvalidDataError: all rows together are too few, a column is constant, or is of different types or
            missing in some shards.
        FileExistsError: the folder exists.
    """
    for shard in shards:
        if shard.settings != shards[0].settings:
            raise DatasetError(f"{shard.folder} was made with other settings than {shards[0].folder}")
    source = _named([shard.source for shard in shards])
    if problems := list(_absent_columns(shards)):
        raise InvalidDataError(source, problems)
    settings = shards[0].settings
    summaries = [(shard.source, _by_name(shard)) for shard in shards]
    merged = [
        merge_columns([(name, known[column.name]) for name, known in summaries])
        for column in shards[0].columns
    ]
    columns = [column for column, _ in merged]
    if problems := [problem for _, problem in merged if problem]:
        raise InvalidDataError(source, problems)
    if many := too_many_columns(sum(len(column.known) or 1 for column in columns), len(columns), settings):
        raise InvalidDataError(source, [many])
    target = _joined([shard.target for shard in shards])
    parts = [
        expanded.as_part_of(columns, shard.columns, shard.mergeable, settings)
        for shard in shards
        if shard.mergeable
    ]
    mergeable = moment.merge(parts) if parts else None
    if problems := list(_problems(shards, columns, target, mergeable, settings)):
        raise InvalidDataError(source, problems)
    description = {
        "train_rows": sum(shard.train_rows for shard in shards),
        "kept_rows": sum(shard.kept_rows for shard in shards),
        "test_rows": sum(shard.test_rows for shard in shards),
        "fingerprint": _fingerprint([shard.fingerprint for shard in shards]),
        "source": source,
        "settings": settings,
    }

    def fill(place: Path) -> None:
        for name in (TRAIN_FILE, TEST_FILE):
            _copy(shards, columns, name, place / name)
        for name in (OTHERS_FILE, GROUPS_FILE):
            other_columns.copy([shard.folder / name for shard in shards], place / name)

    seen = distributions(_kept(shards, columns), columns, settings)
    gaps = sum((shard.gaps for shard in shards), Gaps())
    return datasets.assemble(folder, columns, target, mergeable, description, gaps, seen, fill)


def _absent_columns(shards: Sequence[Dataset]) -> Iterator[Problem]:
    """Find columns that some shards have and others have not, where all columns are features."""
    first = shards[0]
    for shard in shards[1:]:
        for one, other in ((first, shard), (shard, first)):
            names = {column.name for column in other.columns}
            for column in one.columns:
                if column.name not in names:
                    yield Problem(
                        f"column {column.name!r} is in {one.source} and not in {other.source}",
                        remedy=f'leave it out with exclude=["{column.name}"]',
                    )


def _by_name(shard: Dataset) -> dict[str, Summary]:
    return {column.name: column for column in shard.columns}


def _problems(
    shards: Sequence[Dataset],
    columns: Sequence[Summary],
    target: Column,
    mergeable: Moments | None,
    settings: Mapping[str, Any],
) -> Iterator[Problem]:
    """Find problems of all rows together; a single shard may be short, or have constant columns."""
    train, test = (sum(getattr(shard, name) for shard in shards) for name in ("train_rows", "test_rows"))
    sizes = widths([column.input(settings) for column in columns])
    unusable = [*_category_problems(columns, settings), *_empty_problems(columns, settings)]
    if few := too_few(train, test, len(columns) if unusable else sum(sizes), settings):
        unusable.append(few)
    if unusable:
        yield from unusable
        return
    variances = (
        np.ldexp(mergeable.covariance.diagonal(), 2 * mergeable.exponent) if mergeable else np.zeros(1)
    )
    for column, start in zip(columns, accumulate(sizes, initial=0), strict=False):
        if column.type == "category":
            varies = len(column.known) > 1
        else:
            varies = column.minimum < column.maximum and variances[start] > 0
        if not varies:
            yield Problem(
                f"feature {column.name!r} is constant over the training rows",
                remedy=excluding(column.name, settings),
            )
    if not (target.minimum < target.maximum and variances[-1] > 0):
        yield Problem(f"target {target.name!r} is constant over the training rows")
    held_out = np.concatenate([shard.test([])[1] for shard in shards])
    if held_out.min() == held_out.max():
        said = "constant over the held-out rows, which cannot show how good a model is"
        yield Problem(f"target {target.name!r} is {said}")


def _empty_problems(columns: Sequence[Summary], settings: Mapping[str, Any]) -> Iterator[Problem]:
    for column in columns:
        if not column.present and column.missing:
            yield Problem(
                f"feature {column.name!r} has no value in the training rows",
                remedy=excluding(column.name, settings),
            )


def _category_problems(columns: Sequence[Summary], settings: Mapping[str, Any]) -> Iterator[Problem]:
    for column in columns:
        known = len(column.known)
        if problem := too_many_categories(column.name, known, column.present, settings, whole=True):
            yield problem
            continue
        unknown = [repr(category) for category in column.categories[known:]]
        if unknown and settings.get("unknown_categories") != "ignore":
            listed = ", ".join(unknown[:CATEGORIES_NAMED]) + (" …" if len(unknown) > CATEGORIES_NAMED else "")
            yield Problem(
                f"feature {column.name!r} has categories that only held-out rows have: {listed}",
                remedy="add unknown_categories=ignore, which counts them as none of the known ones",
            )


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


def _kept(shards: Sequence[Dataset], columns: Sequence[Summary]) -> Rows:
    tables = [_recoded(pq.read_table(shard.folder / TRAIN_FILE), shard, columns) for shard in shards]
    whole = pa.concat_tables(tables)
    return {name: whole[name].to_numpy() for name in whole.column_names}


def _copy(shards: Sequence[Dataset], columns: Sequence[Summary], name: str, path: Path) -> None:
    names = [*(column.name for column in columns), shards[0].target.name]
    schema = pa.schema([(column, pa.float64()) for column in names])
    with pq.ParquetWriter(path, schema, **datasets.PARQUET) as writer:
        for shard in shards:
            with pq.ParquetFile(shard.folder / name, memory_map=True) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(_recoded(file.read_row_group(group), shard, columns))


def _recoded(table: pa.Table, shard: Dataset, columns: Sequence[Summary]) -> pa.Table:
    """Give the categories of a shard their positions among those of all rows."""
    summaries = _by_name(shard)
    values = {
        column.name: summaries[column.name].recode(table[column.name].to_numpy(), column)
        if column.categories
        else table[column.name]
        for column in columns
    }
    return pa.table({**values, shard.target.name: table[shard.target.name]})
