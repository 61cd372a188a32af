"""The dataset folder: what ingest writes, and train, evaluate and register read.

A folder is immutable and holds

- ``train.parquet`` and ``test.parquet``: float64 columns, the features in their order, then the target. A
  boolean is 0 or 1, a category its position among those of the column, and a missing value NaN;
- ``dataset.json``: what is known of them, with the SHA-256 of both files and of itself.

Of very many training rows ``train.parquet`` keeps a random part. The moments, the ranges and the fingerprint
are always of all of them.

The fingerprint is the SHA-256 of the numbers and the settings, whatever the release that wrote the files:
equal fingerprints mean equal data, split the same way.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.data import expanded
from components.data.columns import Gaps, Rows, Summary, distributions, mismatch, summarised
from components.data.moments import Moments
from components.data.sources.values import ColumnType
from predictor.model.artifact import new_folder
from predictor.model.base import Distribution
from predictor.model.inputs import Column, Input
from predictor.model.one_hot import widths

FORMAT_VERSION = 3
TRAIN_FILE = "train.parquet"
TEST_FILE = "test.parquet"
DATASET_FILE = "dataset.json"
ROW_GROUP_ROWS = 2**20
# Measured numbers hardly repeat: neither a dictionary nor compression pays for itself.
PARQUET: Mapping[str, Any] = {"use_dictionary": False, "compression": "none"}


class DatasetError(ValueError):
    """A dataset folder that can't be believed: the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset folder that was verified.

    Attributes:
        folder: where it is.
        columns: the features in the order of the columns, and what is known of their training rows. A range
            over no rows is from infinity to minus infinity.
        target: the column to predict.
        train_rows: how many rows to learn from.
        kept_rows: how many of them are in the folder.
        test_rows: how many rows are held out.
        fingerprint: SHA-256 of content and settings.
        source: where the rows came from, without credentials.
        settings: with which ingest made it.
        gaps: the missing values.
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

    def train(self, inputs: Sequence[Input] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the kept training rows as numbers of inputs, those of the dataset or of a model.

        Returns:
            X of shape (n, d), and y (n,). A category that the inputs do not know is ``UNKNOWN``.

        Raises:
            DatasetError: there is no such column, or it is of another type.
        """
        return self._rows(TRAIN_FILE, inputs)

    def test(self, inputs: Sequence[Input] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the held-out rows, as ``train`` does the others."""
        return self._rows(TEST_FILE, inputs)

    def test_values(self) -> Rows:
        """Read the held-out rows as numbers that depend on each value alone, not on the other rows.

        Returns:
            The features and the target by name; a category is a hash of its text, and a missing value NaN.
        """
        table = pq.read_table(self.folder / TEST_FILE)
        columns = {one.name: one.hashed(table[one.name].to_numpy()) for one in self.columns}
        return {**columns, self.target.name: table[self.target.name].to_numpy()}

    def mismatch(self, inputs: Sequence[Input]) -> str | None:
        """Say why rows can't be read as numbers of these inputs, if they can't."""
        return mismatch(self.columns, inputs)

    def _rows(
        self, name: str, inputs: Sequence[Input] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inputs = self.inputs if inputs is None else inputs
        if problem := self.mismatch(inputs):
            raise DatasetError(f"{self.folder / name} can't be read for a model: {problem}")
        known = {column.name: column for column in self.columns}
        with pq.ParquetFile(self.folder / name, memory_map=True) as file:
            table = file.read(columns=[*(one.name for one in inputs), self.target.name])
        X = np.empty((table.num_rows, len(inputs)))
        for position, one in enumerate(inputs):
            X[:, position] = known[one.name].numbers(table[one.name].to_numpy(), one)
        return X, table[self.target.name].to_numpy()


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

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    columns, train, test = summarised(train, test, types or {}, categories or {}, units or {})
    target = [*train][-1]
    rows = train if kept is None else {name: values[kept] for name, values in train.items()}
    description = {
        "train_rows": _length(train),
        "kept_rows": _length(rows),
        "test_rows": _length(test),
        "fingerprint": _fingerprint(train, test, columns, settings),
        "source": source,
        "settings": settings,
    }
    target_column = Column(
        target,
        minimum=float(train[target].min(initial=math.inf)),
        maximum=float(train[target].max(initial=-math.inf)),
        unit=(units or {}).get(target),
    )

    def fill(place: Path) -> None:
        for name, values in ((TRAIN_FILE, rows), (TEST_FILE, test)):
            _write_parquet(place / name, values)

    return assemble(
        folder,
        columns,
        target_column,
        expanded.moments(train, columns, settings),
        description,
        gaps or Gaps(),
        distributions(rows, columns, settings),
        fill,
    )


def assemble(
    folder: str | Path,
    columns: Sequence[Summary],
    target: Column,
    mergeable: Moments | None,
    description: Mapping[str, Any],
    gaps: Gaps,
    seen: Mapping[str, Distribution],
    fill: Callable[[Path], None],
) -> Dataset:
    """Write a new dataset folder of what is known of its rows.

    Args:
        folder: must not exist; its parent is made.
        columns: the features in their order.
        target: the column to predict.
        mergeable: moments of the training rows, if there are any; see ``Dataset``.
        description: the other attributes of a ``Dataset``.
        gaps: the missing values.
        seen: the distributions of the features.
        fill: writes the Parquet files into the folder it is given.

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    folder = Path(folder)
    document = {
        "format_version": FORMAT_VERSION,
        **description,
        "columns": [column.document() for column in columns],
        "target": _encode(target),
        "gaps": asdict(gaps),
        "moments": mergeable and json.loads(mergeable.to_json()),
        "distributions": {name: asdict(distribution) for name, distribution in seen.items()},
    }
    with new_folder(folder) as staging:
        fill(staging)
        document["files"] = {name: _file_digest(staging / name) for name in (TRAIN_FILE, TEST_FILE)}
        document["sha256"] = _digest(_dump(document))
        (staging / DATASET_FILE).write_bytes(_dump(document))
    return _decode(folder, document)


def read(folder: str | Path) -> Dataset:
    """Read and verify a dataset folder.

    Raises:
        DatasetError: a file is missing, changed or malformed. It names the file.
    """
    folder = Path(folder)
    for name in (DATASET_FILE, TRAIN_FILE, TEST_FILE):
        if not (folder / name).is_file():
            raise DatasetError(f"{folder / name} is missing")
    path = folder / DATASET_FILE
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise DatasetError(f"{path} is not of format version {FORMAT_VERSION}, the only one known here")
    if document.get("sha256") != _digest(_dump({k: v for k, v in document.items() if k != "sha256"})):
        raise DatasetError(f"{path} was changed: its content is not that of its SHA-256")
    try:
        for name in (TRAIN_FILE, TEST_FILE):
            if _file_digest(folder / name) != document["files"][name]:
                raise DatasetError(
                    f"{folder / name} was changed: its SHA-256 is not the one in {DATASET_FILE}"
                )
        return _decode(folder, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: missing or malformed value {error}") from error


def _decode(folder: Path, document: Mapping[str, Any]) -> Dataset:
    moments = document["moments"]
    return Dataset(
        folder=folder,
        columns=tuple(map(Summary.of_document, document["columns"])),
        target=_column(document["target"]),
        train_rows=document["train_rows"],
        kept_rows=document["kept_rows"],
        test_rows=document["test_rows"],
        fingerprint=document["fingerprint"],
        source=document["source"],
        settings=document["settings"],
        gaps=Gaps(**document["gaps"]),
        distributions={
            name: Distribution(
                mean=value["mean"],
                deviation=value["deviation"],
                edges=tuple(value["edges"]),
                proportions=tuple(value["proportions"]),
            )
            for name, value in document["distributions"].items()
        },
        mergeable=moments and Moments.from_json(json.dumps(moments)),
    )


def _encode(column: Column) -> dict[str, Any]:
    document = asdict(column)
    if column.minimum > column.maximum:
        document.update(minimum=None, maximum=None)
    return document


def _column(document: Mapping[str, Any]) -> Column:
    if document["minimum"] is None:
        document = {**document, "minimum": math.inf, "maximum": -math.inf}
    return Column(**document)


def _fingerprint(
    train: Rows,
    test: Rows,
    columns: Sequence[Summary],
    settings: Mapping[str, Any],
) -> str:
    digest = hashlib.sha256(_dump(settings))
    digest.update(_dump({column.name: [column.type, *column.categories] for column in columns}))
    for rows in (train, test):
        digest.update(_dump({"columns": list(rows), "rows": _length(rows)}))
        for values in rows.values():
            # Adding zero turns -0.0, which equals 0.0, into it.
            digest.update(np.ascontiguousarray(values + 0.0, dtype="<f8").data)
    return digest.hexdigest()


def _write_parquet(path: Path, rows: Rows) -> None:
    table = pa.table({name: pa.array(values, type=pa.float64()) for name, values in rows.items()})
    pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, **PARQUET)


def _length(rows: Rows) -> int:
    return next(iter(rows.values())).size


def _dump(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON knows no {name}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
