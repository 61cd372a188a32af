"""Writes, reads and verifies model folders.

The model folder is the contract between the pipeline, which writes it, and the predictor, which serves it. It
is immutable and holds three JSON files, so reading it can't run code:

- ``model.json``: weights, intercept, and the name, unit and training range of each feature and the target;
- ``reference.json``: the distributions of the training data, against which drift is measured;
- ``manifest.json``: the SHA-256 of the other two. The SHA-256 of the manifest is the model's digest.
"""

import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.model.drift import Distribution as Distribution  # part of the folder's contract

FORMAT_VERSION = 1
MODEL_FILE = "model.json"
REFERENCE_FILE = "reference.json"
MANIFEST_FILE = "manifest.json"
MAX_FILE_BYTES = 16 * 2**20
RESERVED_PREFIX = "_"
"""Feedback is stored with the features in columns, beside columns whose names begin with this."""


class ArtifactError(ValueError):
    """An invalid model folder; the message names the file and the reason."""

    def __init__(self, message: str) -> None:
        # A file's name need not be valid UTF-8, but the message is sent as JSON.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True, slots=True)
class Column:
    """A feature or the target, with its range in the training data and its unit, if it has one."""

    name: str
    minimum: float
    maximum: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """The training data in numbers: its rows, and the distributions of features and predictions."""

    rows: int
    features: Mapping[str, Distribution]
    prediction: Distribution


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A linear model: y = weights · x + intercept.

    Attributes:
        weights: one for each feature, in units of the target per unit of the feature.
        intercept: in units of the target.
        features: in the order of the weights.
        target: the predicted column.
        reference: the distributions against which drift is measured.
    """

    weights: tuple[float, ...]
    intercept: float
    features: tuple[Column, ...]
    target: Column
    reference: Reference

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows of shape (n, d); returns shape (n,)."""
        return X @ np.asarray(self.weights) + self.intercept


def write(model: LinearModel, folder: str | Path) -> str:
    """Write ``model`` as a new folder, atomically; returns its digest.

    Raises:
        ArtifactError: the model has a value that can't be written as JSON or read back.
        FileExistsError: the folder exists; a model folder is never overwritten.
    """
    contents = _encode(model)
    _decode(contents)  # raises an error for anything that could not be read back
    with new_folder(Path(folder)) as staging:
        for name, content in contents.items():
            (staging / name).write_bytes(content)
    return _digest(contents[MANIFEST_FILE])


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Create a folder atomically: yield an empty temporary folder to fill, and rename it to ``folder``.

    It is renamed when the block ends without an error and its files are on the disk; otherwise it is removed.

    Raises:
        FileExistsError: the folder exists; it is never overwritten.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; it is never overwritten")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield staging
        for path in (*staging.iterdir(), staging):
            _sync(path)
        staging.chmod(0o755)
        staging.rename(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def read(folder: str | Path) -> tuple[LinearModel, str]:
    """Read and verify a model folder; returns the model and its digest.

    The files may be links if all of them lead to the files of one other folder: KServe's storage initializer
    makes such links for a persistent volume claim.

    Raises:
        ArtifactError: a file is missing, unexpected, changed, too large, malformed or not a regular file.
        OSError: a file can't be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder")
    names = {entry.name for entry in folder.iterdir()}
    expected = {MODEL_FILE, REFERENCE_FILE, MANIFEST_FILE}
    if missing := sorted(expected - names):
        raise ArtifactError(f"{folder / missing[0]} is missing")
    if unexpected := sorted(names - expected):
        raise ArtifactError(f"{folder / unexpected[0]} does not belong in a model folder")
    contents = {name: _read_file(path) for name, path in _locate(folder, sorted(expected)).items()}
    try:
        return _decode(contents), _digest(contents[MANIFEST_FILE])
    except ArtifactError as error:
        raise ArtifactError(f"{folder}{os.sep}{error}") from error


def _locate(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return where the files are, which may all be links to the files of one other folder."""
    paths = {name: Path(os.path.realpath(folder / name)) for name in names}
    home = paths[MANIFEST_FILE].parent
    if any(path != home / name for name, path in paths.items()):
        own = Path(os.path.realpath(folder))
        link = next(name for name, path in paths.items() if path != own / name)
        raise ArtifactError(
            f"{folder / link} is a link; links are followed only if all files lead to one other model folder"
        )
    return paths


def _encode(model: LinearModel) -> dict[str, bytes]:
    model_document = {
        "format_version": FORMAT_VERSION,
        "weights": model.weights,
        "intercept": model.intercept,
        "features": [asdict(feature) for feature in model.features],
        "target": asdict(model.target),
    }
    reference_document = {"format_version": FORMAT_VERSION, **asdict(model.reference)}
    contents = {MODEL_FILE: _dump(model_document), REFERENCE_FILE: _dump(reference_document)}
    files = {name: _digest(content) for name, content in contents.items()}
    contents[MANIFEST_FILE] = _dump({"format_version": FORMAT_VERSION, "files": files})
    return contents


def _decode(contents: Mapping[str, bytes]) -> LinearModel:
    with _naming(MANIFEST_FILE):
        files = _load(contents[MANIFEST_FILE])["files"]
    if not isinstance(files, dict) or set(files) != {MODEL_FILE, REFERENCE_FILE}:
        raise ArtifactError(f"{MANIFEST_FILE}: files must be exactly {MODEL_FILE} and {REFERENCE_FILE}")
    for name, digest in files.items():
        if _digest(contents[name]) != digest:
            raise ArtifactError(f"{name} was changed: its SHA-256 differs from the one in {MANIFEST_FILE}")
    with _naming(MODEL_FILE):
        document = _load(contents[MODEL_FILE])
        model = LinearModel(
            weights=tuple(_number(weight) for weight in document["weights"]),
            intercept=_number(document["intercept"]),
            features=tuple(_column(feature) for feature in document["features"]),
            target=_column(document["target"]),
            reference=_reference(contents[REFERENCE_FILE]),
        )
        names = [feature.name for feature in model.features]
        if not names or len(names) != len(model.weights):
            raise ValueError(f"{len(names)} features, but {len(model.weights)} weights")
        if duplicates := [name for name, times in Counter(names).items() if times > 1]:
            raise ValueError(f"duplicate feature {duplicates[0]!r:.80}")
    if set(model.reference.features) != set(names):
        raise ArtifactError(f"{REFERENCE_FILE}: its features differ from those of {MODEL_FILE}")
    return model


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn any error that a malformed document raises into an :class:`ArtifactError` that names the file."""
    try:
        yield
    except ArtifactError:
        raise
    except KeyError as error:
        raise ArtifactError(f"{name}: {error} is missing") from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{name}: {error}") from error


def _reference(content: bytes) -> Reference:
    with _naming(REFERENCE_FILE):
        document = _load(content)
        return Reference(
            rows=int(_number(document["rows"])),
            features={name: _distribution(value) for name, value in document["features"].items()},
            prediction=_distribution(document["prediction"]),
        )


def _distribution(value: dict[str, Any]) -> Distribution:
    distribution = Distribution(
        mean=_number(value["mean"]),
        deviation=_number(value["deviation"]),
        edges=tuple(_number(edge) for edge in value["edges"]),
        proportions=tuple(_number(share) for share in value["proportions"]),
    )
    if len(distribution.proportions) != len(distribution.edges) + 1:
        raise ValueError("a histogram needs one more proportion than edges")
    if any(low >= high for low, high in pairwise(distribution.edges)):
        raise ValueError("the edges of a histogram must increase")
    return distribution


def _column(value: dict[str, Any]) -> Column:
    name, unit = value["name"], value["unit"]
    if not isinstance(name, str) or not name or not isinstance(unit, str | None):
        raise ValueError("a column needs a name, and a unit that is a string or null")
    if any("\ud800" <= character <= "\udfff" for character in name + (unit or "")):
        raise ValueError(f"column {name!r:.80}: name or unit has an unpaired surrogate")
    return Column(name=name, minimum=_number(value["minimum"]), maximum=_number(value["maximum"]), unit=unit)


def _number(value: object) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond the range of a double
        pass
    raise ValueError(f"{value!r:.40} is not a finite number")


def _dump(document: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise ArtifactError(f"a model may have only finite numbers: {error}") from error


def _load(content: bytes) -> dict[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if (version := document.get("format_version")) != FORMAT_VERSION:
        raise ValueError(
            f"unsupported format version {version!r:.40}; this server reads version {FORMAT_VERSION}"
        )
    return document


def _read_file(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):  # opening a FIFO would block
        raise ArtifactError(f"{path} is not a regular file")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ArtifactError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return content


def reserved_names(names: Iterable[str]) -> list[str]:
    """Return the names of features that can't be recorded as feedback, because the store uses such names."""
    return [name for name in names if name.startswith(RESERVED_PREFIX)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
