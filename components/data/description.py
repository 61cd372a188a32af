"""Reads and writes dataset.json, which describes a dataset and holds its own SHA-256."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.columns import Rows, Summary
from predictor.model.inputs import Column

FORMAT_VERSION = 5
DATASET_FILE = "dataset.json"


class DatasetError(ValueError):
    """An invalid dataset folder; the message names the file and the reason."""


def seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with its format version and its SHA-256."""
    document = {"format_version": FORMAT_VERSION, **document}
    return {**document, "sha256": _digest(dump(document))}


def load(path: Path) -> dict[str, Any]:
    """Read and verify a description.

    Raises:
        DatasetError: the file is malformed or changed.
    """
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise DatasetError(f"{path} does not have format version {FORMAT_VERSION}, the only one supported")
    if document.get("sha256") != _digest(dump({k: v for k, v in document.items() if k != "sha256"})):
        raise DatasetError(f"{path} was changed: its content does not match its SHA-256")
    return document


def dump(document: Mapping[str, Any]) -> bytes:
    """Write JSON, the same bytes for the same content."""
    return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def target_column(name: str, values: NDArray[np.float64], unit: str | None) -> Column:
    """Return the target with the range of its values; a range over no rows is empty."""
    return Column(name, float(values.min(initial=math.inf)), float(values.max(initial=-math.inf)), unit)


def target_document(column: Column) -> dict[str, Any]:
    """Return the target as JSON can hold it; a range over no rows has no bounds."""
    document = asdict(column)
    if column.minimum > column.maximum:
        document.update(minimum=None, maximum=None)
    return document


def target_of(document: Mapping[str, Any]) -> Column:
    """Read what ``target_document`` wrote."""
    if document["minimum"] is None:
        document = {**document, "minimum": math.inf, "maximum": -math.inf}
    return Column(**document)


def fingerprint(train: Rows, test: Rows, columns: Sequence[Summary], settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the settings and of all features and targets; see ``components.data.dataset``."""
    digest = hashlib.sha256(dump(settings))
    digest.update(dump({column.name: [column.type, *column.categories] for column in columns}))
    for rows in (train, test):
        digest.update(dump({"columns": list(rows), "rows": length(rows)}))
        for values in rows.values():
            # Adding zero turns -0.0, which equals 0.0, into it.
            digest.update(np.ascontiguousarray(values + 0.0, dtype="<f8").data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(folder: Path, digests: Mapping[str, str], names: Iterable[str]) -> None:
    """Check files against their SHA-256 in the description.

    Raises:
        DatasetError: one was changed; it names the file.
        KeyError: the description has no SHA-256 of one.
    """
    for name in names:
        if file_digest(folder / name) != digests[name]:
            raise DatasetError(
                f"{folder / name} was changed: its SHA-256 differs from the one in {DATASET_FILE}"
            )


def length(rows: Rows) -> int:
    """Return how many rows there are."""
    return next(iter(rows.values())).size


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
