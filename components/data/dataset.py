"""The dataset folder: what ingest writes, and train, evaluate and register read.

A folder is immutable and holds

- ``train.parquet`` and ``test.parquet``: float64 columns, the features in their order, then the target;
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

from components.data.moments import Moments, merge
from predictor.model.artifact import new_folder
from predictor.model.base import Distribution
from predictor.model.inputs import Column

FORMAT_VERSION = 2
TRAIN_FILE = "train.parquet"
TEST_FILE = "test.parquet"
DATASET_FILE = "dataset.json"
ROW_GROUP_ROWS = 2**20
# Measured numbers hardly repeat: neither a dictionary nor compression pays for itself.
PARQUET: Mapping[str, Any] = {"use_dictionary": False, "compression": "none"}
BLOCK_ROWS = 2**17

Rows = Mapping[str, NDArray[np.float64]]


class DatasetError(ValueError):
    """A dataset folder that can't be believed: the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset folder that was verified.

    Attributes:
        folder: where it is.
        features: in the order of the columns, with their ranges over the training rows and their units. A
            range over no rows is from infinity to minus infinity.
        target: the column to predict.
        train_rows: how many rows to learn from.
        kept_rows: how many of them are in the folder.
        test_rows: how many rows are held out.
        fingerprint: SHA-256 of content and settings.
        source: where the rows came from, without credentials.
        settings: with which ingest made it.
        distributions: of each feature over the kept rows, against which drift is measured; none without any.
        moments: of the training rows, features and target; none without any.
    """

    folder: Path
    features: tuple[Column, ...]
    target: Column
    train_rows: int
    kept_rows: int
    test_rows: int
    fingerprint: str
    source: str
    settings: Mapping[str, Any]
    distributions: Mapping[str, Distribution]
    moments: Moments | None = field(compare=False)

    @property
    def target_mean(self) -> float:
        """The mean of the target over the training rows, which is what a baseline predicts."""
        if self.moments is None:
            raise DatasetError(f"{self.folder} has no training rows")
        return math.ldexp(float(self.moments.mean[-1]), int(self.moments.exponent[-1]))

    def train(self, features: Sequence[str] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the kept training rows: X of shape (n, d), all features or the named ones, and y (n,)."""
        return self._rows(TRAIN_FILE, features)

    def test(self, features: Sequence[str] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the held-out rows, as ``train`` does the others."""
        return self._rows(TEST_FILE, features)

    def _rows(
        self, name: str, features: Sequence[str] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = [feature.name for feature in self.features]
        names = known if features is None else list(features)
        if unknown := [feature for feature in names if feature not in known]:
            raise DatasetError(f"{self.folder / name} has no feature {unknown[0]!r}, only {', '.join(known)}")
        with pq.ParquetFile(self.folder / name, memory_map=True) as file:
            table = file.read(columns=[*names, self.target.name])
        X = np.empty((table.num_rows, len(names)))
        for position, feature in enumerate(names):
            X[:, position] = table[feature].to_numpy()
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

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    units = units or {}
    columns = [
        Column(
            name,
            minimum=float(values.min(initial=math.inf)),
            maximum=float(values.max(initial=-math.inf)),
            unit=units.get(name),
        )
        for name, values in train.items()
    ]
    rows = train if kept is None else {name: values[kept] for name, values in train.items()}
    description = {
        "train_rows": _length(train),
        "kept_rows": _length(rows),
        "test_rows": _length(test),
        "fingerprint": _fingerprint(train, test, settings),
        "source": source,
        "settings": settings,
    }

    def fill(place: Path) -> None:
        for name, values in ((TRAIN_FILE, rows), (TEST_FILE, test)):
            _write_parquet(place / name, values)

    return assemble(folder, columns, _moments(train), description, distributions(rows), fill)


def assemble(
    folder: str | Path,
    columns: Sequence[Column],
    moments: Moments | None,
    description: Mapping[str, Any],
    seen: Mapping[str, Distribution],
    fill: Callable[[Path], None],
) -> Dataset:
    """Write a new dataset folder of what is known of its rows.

    Args:
        folder: must not exist; its parent is made.
        columns: the features in their order, then the target.
        moments: of the training rows, if there are any.
        description: the other attributes of a ``Dataset``.
        seen: the distributions of the features.
        fill: writes the Parquet files into the folder it is given.

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    folder = Path(folder)
    *features, target = map(_encode, columns)
    document = {
        "format_version": FORMAT_VERSION,
        **description,
        "features": features,
        "target": target,
        "moments": moments and json.loads(moments.to_json()),
        "distributions": {name: asdict(distribution) for name, distribution in seen.items()},
    }
    with new_folder(folder) as staging:
        fill(staging)
        document["files"] = {name: _file_digest(staging / name) for name in (TRAIN_FILE, TEST_FILE)}
        document["sha256"] = _digest(_dump(document))
        (staging / DATASET_FILE).write_bytes(_dump(document))
    return _decode(folder, document)


def distributions(rows: Rows) -> dict[str, Distribution]:
    """Describe the features, all columns but the last; nothing is to be said of no rows."""
    return {name: Distribution.of(rows[name]) for name in [*rows][:-1]} if _length(rows) else {}


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
        features=tuple(map(_column, document["features"])),
        target=_column(document["target"]),
        train_rows=document["train_rows"],
        kept_rows=document["kept_rows"],
        test_rows=document["test_rows"],
        fingerprint=document["fingerprint"],
        source=document["source"],
        settings=document["settings"],
        distributions={
            name: Distribution(
                mean=value["mean"],
                deviation=value["deviation"],
                edges=tuple(value["edges"]),
                proportions=tuple(value["proportions"]),
            )
            for name, value in document["distributions"].items()
        },
        moments=moments and Moments.from_json(json.dumps(moments)),
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


def _moments(train: Rows) -> Moments | None:
    """Take the moments of a few rows at a time: of all of them there need be no second copy."""
    *features, target = train.values()
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, target.size, BLOCK_ROWS)]
    if not blocks:
        return None
    return merge(
        Moments.of(np.column_stack([values[block] for values in features]), target[block]) for block in blocks
    )


def _fingerprint(
    train: Rows,
    test: Rows,
    settings: Mapping[str, Any],
) -> str:
    digest = hashlib.sha256(_dump(settings))
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
