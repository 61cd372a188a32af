"""The dataset folder: what ingest writes, and train, evaluate and register read.

A folder is immutable and holds

- ``train.parquet`` and ``test.parquet``: float64 columns, the features in their order, then the target;
- ``dataset.json``: what is known of them, with the SHA-256 of both files and of itself.

The fingerprint is the SHA-256 of the numbers and the settings, whatever the release that wrote the files:
equal fingerprints mean equal data, split the same way.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predictor.artifact import Column, Distribution

FORMAT_VERSION = 1
TRAIN_FILE = "train.parquet"
TEST_FILE = "test.parquet"
DATASET_FILE = "dataset.json"
ROW_GROUP_ROWS = 2**20


class DatasetError(ValueError):
    """A dataset folder that can't be believed: the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset folder that was verified.

    Attributes:
        folder: where it is.
        features: in the order of the columns, with their ranges over the training rows and their units.
        target: the column to predict.
        train_rows: how many rows to learn from.
        test_rows: how many rows are held out.
        fingerprint: SHA-256 of content and settings.
        source: where the rows came from, without credentials.
        settings: with which ingest made it.
        distributions: of each feature over the training rows, against which drift is measured.
    """

    folder: Path
    features: tuple[Column, ...]
    target: Column
    train_rows: int
    test_rows: int
    fingerprint: str
    source: str
    settings: Mapping[str, Any]
    distributions: Mapping[str, Distribution]

    def train(self, features: Sequence[str] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read the training rows: X of shape (n, d), all features or the named ones, and y of shape (n,)."""
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
    train: Mapping[str, NDArray[np.float64]],
    test: Mapping[str, NDArray[np.float64]],
    *,
    source: str,
    settings: Mapping[str, Any],
    units: Mapping[str, str] | None = None,
) -> Dataset:
    """Write a new dataset folder; it appears whole or not at all.

    Args:
        folder: must not exist; its parent is made.
        train: columns of shape (n,) by name, the features in their order and the target last.
        test: the same columns of the held-out rows, of shape (m,).
        source: where the rows came from.
        settings: with which they were selected and split; goes into the fingerprint.
        units: of the columns that have one.

    Raises:
        FileExistsError: the folder exists; a dataset folder is never overwritten.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a dataset folder is never overwritten")
    units = units or {}
    columns = [
        Column(name, minimum=float(values.min()), maximum=float(values.max()), unit=units.get(name))
        for name, values in train.items()
    ]
    document = {
        "format_version": FORMAT_VERSION,
        "features": [asdict(column) for column in columns[:-1]],
        "target": asdict(columns[-1]),
        "rows": {TRAIN_FILE: _length(train), TEST_FILE: _length(test)},
        "fingerprint": _fingerprint(train, test, settings),
        "source": source,
        "settings": settings,
        "distributions": {
            column.name: asdict(Distribution.of(train[column.name])) for column in columns[:-1]
        },
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, rows in ((TRAIN_FILE, train), (TEST_FILE, test)):
            _write_parquet(staging / name, rows)
        document["files"] = {name: _file_digest(staging / name) for name in (TRAIN_FILE, TEST_FILE)}
        document["sha256"] = _digest(_dump(document))
        (staging / DATASET_FILE).write_bytes(_dump(document))
        for path in (*staging.iterdir(), staging):
            _sync(path)
        staging.chmod(0o755)
        staging.rename(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
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
    return Dataset(
        folder=folder,
        features=tuple(Column(**feature) for feature in document["features"]),
        target=Column(**document["target"]),
        train_rows=document["rows"][TRAIN_FILE],
        test_rows=document["rows"][TEST_FILE],
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
    )


def _fingerprint(
    train: Mapping[str, NDArray[np.float64]],
    test: Mapping[str, NDArray[np.float64]],
    settings: Mapping[str, Any],
) -> str:
    digest = hashlib.sha256(_dump(settings))
    for rows in (train, test):
        digest.update(_dump({"columns": list(rows), "rows": _length(rows)}))
        for values in rows.values():
            # Adding zero turns -0.0, which equals 0.0, into it.
            digest.update(np.ascontiguousarray(values + 0.0, dtype="<f8").data)
    return digest.hexdigest()


def _write_parquet(path: Path, rows: Mapping[str, NDArray[np.float64]]) -> None:
    table = pa.table({name: pa.array(values, type=pa.float64()) for name, values in rows.items()})
    # Measured numbers hardly repeat: neither a dictionary nor compression pays for itself.
    pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, use_dictionary=False, compression="none")


def _length(rows: Mapping[str, NDArray[np.float64]]) -> int:
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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
