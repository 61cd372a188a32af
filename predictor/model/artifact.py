"""The model folder: its format, writing, reading, verifying.

The one contract between the pipeline, which writes a folder, and the predictor, which serves it.
A folder is immutable and holds three files of JSON, so that reading it can run no code:

- ``model.json``: weights, intercept, and for each feature and the target its name, unit and training range;
- ``reference.json``: the distributions seen in training, against which drift is measured;
- ``manifest.json``: the SHA-256 of the other two. The SHA-256 of the manifest itself is the model's digest.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1
MODEL_FILE = "model.json"
REFERENCE_FILE = "reference.json"
MANIFEST_FILE = "manifest.json"
MAX_FILE_BYTES = 16 * 2**20


class ArtifactError(ValueError):
    """A model folder that can't be believed: the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A feature or the target: its name, its unit if it has one, and the range seen in training."""

    name: str
    minimum: float
    maximum: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A column's distribution in training, as a histogram over its own quantiles.

    ``edges`` are the k - 1 inner bin edges, strictly increasing; a value v falls into bin
    ``searchsorted(edges, v, side="right")``. ``proportions`` are the k shares of the training rows.
    """

    mean: float
    deviation: float
    edges: tuple[float, ...]
    proportions: tuple[float, ...]

    @classmethod
    def of(cls, values: NDArray[np.float64], bins: int = 10) -> "Distribution":
        """Describe finite values of shape (n,) by at most ``bins`` bins of equal share; ties merge bins."""
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)
        return cls(
            mean=float(values.mean()),
            deviation=float(values.std()),
            edges=tuple(edges.tolist()),
            proportions=tuple((counts / values.size).tolist()),
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """What the model saw in training: how many rows, how each feature lay, and how its predictions did."""

    rows: int
    features: Mapping[str, Distribution]
    prediction: Distribution


@dataclass(frozen=True, slots=True)
class LinearModel:
    """y = weights · x + intercept, with what is known of each feature and the target.

    Attributes:
        weights: one for each feature, in the units of target per unit of feature.
        intercept: in the units of the target.
        features: in the order of the weights.
        target: what is predicted.
        reference: what drift is measured against.
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
    """Write ``model`` as a new folder and return its digest.

    The folder appears whole or not at all: it is written beside its place and renamed.

    Raises:
        ArtifactError: a value that JSON can't hold or the reader would refuse.
        FileExistsError: the folder exists; a model folder is never overwritten.
    """
    contents = _encode(model)
    _decode(contents)  # what can't be read back is not written
    with new_folder(Path(folder)) as staging:
        for name, content in contents.items():
            (staging / name).write_bytes(content)
    return _digest(contents[MANIFEST_FILE])


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the place ``folder`` when the block ends without an error.

    It stands beside its place until its files are on the disk, and is renamed then: whatever happens, the
    place holds all of it or nothing.

    Raises:
        FileExistsError: the folder exists; what was published once is never overwritten.
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

    Raises:
        ArtifactError: a file is missing, unknown, changed, too large or malformed. It names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder")
    names = {entry.name for entry in folder.iterdir()}
    expected = {MODEL_FILE, REFERENCE_FILE, MANIFEST_FILE}
    if missing := sorted(expected - names):
        raise ArtifactError(f"{folder / missing[0]} is missing")
    if unknown := sorted(names - expected):
        raise ArtifactError(f"{folder / unknown[0]} does not belong in a model folder")
    contents = {name: _read_file(folder / name) for name in sorted(expected)}
    try:
        return _decode(contents), _digest(contents[MANIFEST_FILE])
    except ArtifactError as error:
        raise ArtifactError(f"{folder}{os.sep}{error}") from error


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
            raise ArtifactError(f"{name} was changed: its SHA-256 is not the one in {MANIFEST_FILE}")
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
            raise ValueError(f"{len(model.weights)} weights for {len(names)} features")
        if len(set(names)) != len(names):
            raise ValueError("a feature's name stands twice")
    if set(model.reference.features) != set(names):
        raise ArtifactError(f"{REFERENCE_FILE}: its features are not those of {MODEL_FILE}")
    return model


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn whatever a malformed document raises into an error that names the file."""
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
        raise ValueError("a histogram needs one more proportion than inner edges")
    if any(low >= high for low, high in pairwise(distribution.edges)):
        raise ValueError("the edges of a histogram must increase")
    return distribution


def _column(value: dict[str, Any]) -> Column:
    name, unit = value["name"], value["unit"]
    if not isinstance(name, str) or not name or not isinstance(unit, str | None):
        raise ValueError("a column needs a name, and a unit that is text or null")
    if any("\ud800" <= character <= "\udfff" for character in name + (unit or "")):
        raise ValueError(f"the column {name!r} in {unit!r} holds half of a surrogate pair, which is no text")
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
        raise ArtifactError(f"a model holds finite numbers only: {error}") from error


def _load(content: bytes) -> dict[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("it must hold an object")
    if (version := document.get("format_version")) != FORMAT_VERSION:
        raise ValueError(f"format version {version!r} is not known here, only {FORMAT_VERSION}")
    return document


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ArtifactError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
