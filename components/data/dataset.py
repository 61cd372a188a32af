"""The dataset folder: what ingest writes, and train, evaluate and register read.

A folder is immutable and holds

- ``train.parquet`` and ``test.parquet``: float64 columns, the features in their order, then the target. A
  boolean is 0 or 1, a category its position among those of the column, and a missing value NaN;
- ``others.parquet``: the other columns of the held-out rows, as they were read. A champion that learned from
  them can be scored on the same rows;
- ``groups.parquet``: a number for each held-out row, equal for rows of one group. It has no column if rows
  are not held out by groups;
- ``dataset.json``: what is known of the rows, with the SHA-256 of the other files and of itself.

Of very many training rows ``train.parquet`` keeps a random part. The moments, the ranges and the fingerprint
are always of all of them.

The fingerprint is the SHA-256 of the features, the target and the settings, whatever release wrote the files.
Equal fingerprints mean that a model learns from equal data and is scored on equal data. The other columns are
no part of it, because a model of these rows does not depend on them.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.data import description, expanded, other_columns
from components.data.columns import Gaps, Rows, Summary, distributions, mismatch, summarised
from components.data.description import DATASET_FILE, DatasetError
from components.data.moments import Moments
from components.data.sources.values import ColumnType
from predictor.model.artifact import new_folder
from predictor.model.base import Distribution
from predictor.model.inputs import Column, Input
from predictor.model.one_hot import widths

TRAIN_FILE = "train.parquet"
TEST_FILE = "test.parquet"
OTHERS_FILE = "others.parquet"
GROUPS_FILE = "groups.parquet"
FILES = (TRAIN_FILE, TEST_FILE, OTHERS_FILE, GROUPS_FILE)
ROW_GROUP_ROWS = 2**20
# Measured numbers hardly repeat: neither a dictionary nor compression pays for itself.
PARQUET: Mapping[str, Any] = {"use_dictionary": False, "compression": "none"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A verified dataset folder.

    Attributes:
        folder: where it is.
        columns: summaries of the features over the training rows, in the order of the columns. A range
            over no rows is from infinity to minus infinity.
        target: the column to predict.
        train_rows: how many rows to learn from.
        kept_rows: how many of them are in the folder.
        test_rows: how many rows are held out.
        fingerprint: SHA-256 of content and settings.
        source: where the rows came from, without credentials.
        settings: with which ingest made it.
        gaps: the missing values.
        others: names of the other columns that the held-out rows have.
        distributions: of each input over the kept rows, for measuring drift; may be empty.
        mergeable: the moments of the training rows, see ``components.data.expanded``; none without any.
    """

    folder: Path
    columns: tuple[Summary, ...]
    target: Column
    train_rows: int
    kept_rows: int
    test_rows: int
    fingerprint: str
    source: str
    settings: Mapping[str, Any]
    gaps: Gaps
    others: tuple[str, ...]
    distributions: Mapping[str, Distribution]
    mergeable: Moments | None = field(compare=False)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs of a model that is trained on these rows."""
        return tuple(column.input(self.settings) for column in self.columns)

    @property
    def target_mean(self) -> float:
        """The mean of the target over the training rows, which is what a baseline predicts."""
        if self.mergeable is None:
            raise DatasetError(f"{self.folder} has no training rows")
        return math.ldexp(float(self.mergeable.mean[-1]), int(self.mergeable.exponent[-1]))

    @property
    def moments(self) -> Moments | None:
        """The moments of the training rows, of the one-hot columns of the inputs and the target."""
        return self.mergeable and self.mergeable.of_features(range(sum(widths(self.inputs))))

    def train(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the kept training rows as numbers of the inputs.

        Returns:
            X of shape (n, d), and y (n,).
        """
        table = self._table(TRAIN_FILE)
        return self._numbers(table, self.inputs), table[self.target.name].to_numpy()

    def test(self, inputs: Sequence[Input] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the held-out rows as numbers of inputs, those of the dataset or of any model of this source.

        Returns:
            X of shape (n, d), and y (n,). A category that the inputs do not know is ``UNKNOWN``. A missing
            value that an input has no replacement for is NaN.

        Raises:
            DatasetError: there is no such column, or it is of another type.
        """
        inputs = self.inputs if inputs is None else inputs
        if problem := self.mismatch(inputs):
            raise DatasetError(f"{self.folder / TEST_FILE} can't be read for a model: {problem}")
        table = self._table(TEST_FILE)
        return self._numbers(table, inputs), table[self.target.name].to_numpy()

    def test_values(self) -> Rows:
        """Read the held-out rows as numbers that depend on each value alone, not on the other rows.

        Returns:
            The features and the target by name; a category is a hash of its text, and a missing value NaN.
        """
        return dict(self._values(TEST_FILE, self.types))

    def train_values(self) -> Iterator[NDArray[np.float64]]:
        """Yield the columns of the kept training rows, as numbers like those of ``test_values``."""
        return (values for _, values in self._values(TRAIN_FILE, self.types))

    @property
    def types(self) -> dict[str, str]:
        """The types of the features and the target, sorted by their names."""
        return dict(sorted([*((one.name, one.type) for one in self.columns), (self.target.name, "number")]))

    def test_values_as(self, types: Mapping[str, str]) -> Rows | None:
        """Read any columns as ``test_values`` does; None if one does not exist, or is of another type."""
        own = self.types
        if any(own.get(name, type_) != type_ for name, type_ in types.items()):
            return None
        further = [name for name in types if name not in own]
        if not set(further).issubset(self.others):
            return None
        found = dict(self._values(TEST_FILE, [name for name in types if name in own]))
        if further:
            table, decimal = self._table(OTHERS_FILE, further), self.settings.get("decimal", ".")
            found |= {name: other_columns.hashed(table[name], name, types[name], decimal) for name in further}
        return {name: found[name] for name in types}

    def groups(self) -> NDArray[np.float64] | None:
        """Read the groups of the held-out rows, shape (n,); None if rows are not held out by groups."""
        table = self._table(GROUPS_FILE)
        return table["group"].to_numpy() if table.num_columns else None

    def mismatch(self, inputs: Sequence[Input]) -> str | None:
        """Return why the held-out rows can't be read as numbers of these inputs, if they can't."""
        others = [one for one in inputs if one.name in self.others]
        if problem := mismatch(self.columns, [one for one in inputs if one not in others], self.others):
            return problem
        for one in others:
            if np.isnan(self._other(one)).all():
                return f"no held-out row has a {one.type} for its input {one.name!r}"
        return None

    def _numbers(self, table: pa.Table, inputs: Sequence[Input]) -> NDArray[np.float64]:
        known = {column.name: column for column in self.columns}
        X = np.empty((table.num_rows, len(inputs)))
        for position, one in enumerate(inputs):
            if one.name in known:
                X[:, position] = known[one.name].numbers(table[one.name].to_numpy(), one)
            else:
                X[:, position] = one.filled(self._other(one))
        return X

    def _other(self, one: Input) -> NDArray[np.float64]:
        column = self._table(OTHERS_FILE, [one.name])[one.name]
        return other_columns.numbers(column, one, self.settings.get("decimal", "."))

    def _values(self, name: str, columns: Iterable[str]) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Read columns of a file, which is opened once: to read its footer takes longer than a column."""
        summaries = {one.name: one for one in self.columns}
        with pq.ParquetFile(self.folder / name, memory_map=True) as file:
            for column in columns:
                values = file.read(columns=[column])[column].to_numpy()
                yield column, summaries[column].hashed(values) if column in summaries else values

    def _table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        with pq.ParquetFile(self.folder / name, memory_map=True) as file:
            return file.read(columns=columns)


def write(
    folder: str | Path,
    train: Rows,
    test: Rows,
    *,
    source: str,
    settings: Mapping[str, Any],
    units: Mapping[str, str] | None = None,
    kept: NDArray[np.bool_] | None = None,
    types: Mapping[str, ColumnType] | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    gaps: Gaps | None = None,
    others: pa.Table | None = None,
    groups: NDArray[np.float64] | None = None,
) -> Dataset:
    """Write a new dataset folder; it appears whole or not at all.

    Args:
        folder: must not exist; its parent is made.
        train: columns of shape (n,) by name, the features in their order and the target last.
        test: the same columns of the held-out rows, of shape (m,).
        source: where the rows came from.
        settings: with which they were selected and split; goes into the fingerprint.
        units: of the columns that have one.
        kept: shape (n,), which training rows go into the folder; all without it.
        types: of the features that are not numbers.
        categories: of those that are categories, in the order of their numbers in the rows.
        gaps: the missing values.
        others: other columns of the held-out rows, as ``components.data.other_columns`` makes them.
        groups: shape (m,), equal for held-out rows of one group.

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    columns, train, test = summarised(train, test, types or {}, categories or {}, units or {})
    target = [*train][-1]
    rows = train if kept is None else {name: values[kept] for name, values in train.items()}
    about = {
        "train_rows": description.length(train),
        "kept_rows": description.length(rows),
        "test_rows": description.length(test),
        "fingerprint": description.fingerprint(train, test, columns, settings),
        "source": source,
        "settings": settings,
    }

    def fill(place: Path) -> None:
        for name, values in ((TRAIN_FILE, rows), (TEST_FILE, test)):
            table = pa.table({name: pa.array(column, type=pa.float64()) for name, column in values.items()})
            pq.write_table(table, place / name, row_group_size=ROW_GROUP_ROWS, **PARQUET)
        other_columns.write(place / OTHERS_FILE, pa.table({}) if others is None else others)
        other_columns.write(place / GROUPS_FILE, pa.table({} if groups is None else {"group": groups}))

    return assemble(
        folder,
        columns,
        description.target_column(target, train[target], (units or {}).get(target)),
        expanded.moments(train, columns, settings),
        about,
        gaps or Gaps(),
        distributions(rows, columns, settings),
        fill,
    )


def assemble(
    folder: str | Path,
    columns: Sequence[Summary],
    target: Column,
    mergeable: Moments | None,
    about: Mapping[str, Any],
    gaps: Gaps,
    seen: Mapping[str, Distribution],
    fill: Callable[[Path], None],
) -> Dataset:
    """Write a new dataset folder from summaries of its rows.

    Args:
        folder: must not exist; its parent is made.
        columns: the features in their order.
        target: the column to predict.
        mergeable: moments of the training rows, if there are any; see ``Dataset``.
        about: the other attributes of a ``Dataset``.
        gaps: the missing values.
        seen: the distributions of the features.
        fill: writes the Parquet files into the folder it is given.

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    folder = Path(folder)
    document = {
        **about,
        "columns": [column.document() for column in columns],
        "target": description.target_document(target),
        "gaps": asdict(gaps),
        "moments": mergeable and json.loads(mergeable.to_json()),
        "distributions": {name: asdict(distribution) for name, distribution in seen.items()},
    }
    with new_folder(folder) as staging:
        fill(staging)
        document["others"] = pq.read_schema(staging / OTHERS_FILE).names
        document["files"] = {name: description.file_digest(staging / name) for name in FILES}
        document = description.seal(document)
        (staging / DATASET_FILE).write_bytes(description.dump(document))
    return _decode(folder, document)


def read(folder: str | Path) -> Dataset:
    """Read and verify a dataset folder.

    Raises:
        DatasetError: a file is missing, changed or malformed. It names the file.
    """
    folder = Path(folder)
    path = folder / DATASET_FILE
    for name in (DATASET_FILE, *FILES):
        if not (folder / name).is_file():
            raise DatasetError(f"{folder / name} is missing")
    document = description.load(path)
    try:
        description.check_files(folder, document["files"], FILES)
        return _decode(folder, document)
    except DatasetError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DatasetError(f"{path}: missing or malformed value {error}") from error


def _decode(folder: Path, document: Mapping[str, Any]) -> Dataset:
    moments = document["moments"]
    return Dataset(
        folder=folder,
        columns=tuple(map(Summary.of_document, document["columns"])),
        target=description.target_of(document["target"]),
        train_rows=document["train_rows"],
        kept_rows=document["kept_rows"],
        test_rows=document["test_rows"],
        fingerprint=document["fingerprint"],
        source=document["source"],
        settings=document["settings"],
        gaps=Gaps(**document["gaps"]),
        others=tuple(document["others"]),
        distributions={
            name: Distribution.of_document(value) for name, value in document["distributions"].items()
        },
        mergeable=moments and Moments.from_json(json.dumps(moments)),
    )
