"""Writes, reads and verifies model folders.

The model folder is the contract between the pipeline, which writes it, and the predictor, which serves it. It
is immutable and holds JSON files, so reading it can't run code:

- ``model.json``: the kind of model, its inputs and target with their types, units and training ranges, and
  what was learnt, in a form that the kind alone knows;
- ``reference.json``: the distributions of the training data, against which drift is measured;
- ``manifest.json``: the SHA-256 of the other two. The SHA-256 of the manifest is the model's digest.

A registered folder also holds ``evaluation.json``, which says how good the model is on held-out rows;
``provenance.json``, which says where it comes from; and ``signature.json``, if it was signed.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from predictor.model import evaluation, kinds
from predictor.model.base import Distribution, Model, Reference
from predictor.model.evaluation import Evaluation
from predictor.model.inputs import column_of_document, finite, of_document, to_document
from predictor.model.provenance import Provenance

FORMAT_VERSION = 2
READ_VERSIONS = (1, FORMAT_VERSION)
MODEL_FILE = "model.json"
REFERENCE_FILE = "reference.json"
MANIFEST_FILE = "manifest.json"
EVALUATION_FILE = "evaluation.json"
PROVENANCE_FILE = "provenance.json"
SIGNATURE_FILE = "signature.json"
_OF_REGISTERED = {EVALUATION_FILE, PROVENANCE_FILE, SIGNATURE_FILE}
MAX_FILE_BYTES = 16 * 2**20
RESERVED_PREFIX = "_"
"""Feedback is stored with the features in columns, beside columns whose names begin with this."""

T = TypeVar("T")


class ArtifactError(ValueError):
    """An invalid model folder; the message names the file and the reason."""

    def __init__(self, message: str) -> None:
        # A file's name need not be valid UTF-8, but the message is sent as JSON.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


def write(model: Model, folder: str | Path) -> str:
    """Write ``model`` as a new folder, atomically; returns its digest.

    Raises:
        ArtifactError: the model has a value that can't be written as JSON or read back, or is too large.
        FileExistsError: the folder exists; a model folder is never overwritten.
    """
    contents = _encode(model)
    for name, content in contents.items():
        if len(content) > MAX_FILE_BYTES:
            raise ArtifactError(
                f"{name} would have {len(content):,} bytes, and a model folder's file may have "
                f"{MAX_FILE_BYTES:,}: train a smaller model"
            )
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


def read(folder: str | Path) -> tuple[Model, str]:
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
    if unexpected := sorted(names - expected - _OF_REGISTERED):
        raise ArtifactError(f"{folder / unexpected[0]} does not belong in a model folder")
    contents = {name: _read_file(path) for name, path in _locate(folder, sorted(expected)).items()}
    try:
        return _decode(contents), _digest(contents[MANIFEST_FILE])
    except ArtifactError as error:
        raise ArtifactError(f"{folder}{os.sep}{error}") from error


def read_evaluation(folder: str | Path, digest: str) -> Evaluation | None:
    """Read how good a model is; None if its folder does not say.

    Args:
        folder: of the model.
        digest: of the model.

    Raises:
        ArtifactError: the file is changed, malformed, or about another model.
        OSError: it can't be read.
    """
    return _read_about(Path(folder), EVALUATION_FILE, lambda content: evaluation.decode(content, digest))


def read_provenance(folder: str | Path, digest: str) -> Provenance | None:
    """Read where a model comes from; None if its folder does not say.

    Args:
        folder: of the model.
        digest: of the model.

    Raises:
        ArtifactError: the file is malformed, or about another model.
        OSError: it can't be read.
    """
    return _read_about(Path(folder), PROVENANCE_FILE, lambda content: Provenance.decode(content, digest))


def _read_about(folder: Path, name: str, decode: Callable[[bytes], T]) -> T | None:
    """Read a file that only registered folders have; None if it is not there."""
    path = folder / name
    if not path.is_symlink() and not path.exists():
        return None
    content = _read_file(_locate(folder, (name, MANIFEST_FILE))[name])
    with _naming(str(path)):
        return decode(content)


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


def _encode(model: Model) -> dict[str, bytes]:
    model_document = {
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "inputs": [to_document(one) for one in model.inputs],
        "target": asdict(model.target),
        "parameters": model.parameters(),
    }
    reference_document = {"format_version": FORMAT_VERSION, **asdict(model.reference)}
    contents = {MODEL_FILE: _dump(model_document), REFERENCE_FILE: _dump(reference_document)}
    files = {name: _digest(content) for name, content in contents.items()}
    contents[MANIFEST_FILE] = _dump({"format_version": FORMAT_VERSION, "files": files})
    return contents


def _decode(contents: Mapping[str, bytes]) -> Model:
    with _naming(MANIFEST_FILE):
        files = _load(contents[MANIFEST_FILE])["files"]
    if not isinstance(files, dict) or set(files) != {MODEL_FILE, REFERENCE_FILE}:
        raise ArtifactError(f"{MANIFEST_FILE}: files must be exactly {MODEL_FILE} and {REFERENCE_FILE}")
    for name, digest in files.items():
        if _digest(contents[name]) != digest:
            raise ArtifactError(f"{name} was changed: its SHA-256 differs from the one in {MANIFEST_FILE}")
    reference = _reference(contents[REFERENCE_FILE])
    with _naming(MODEL_FILE):
        document = _load(contents[MODEL_FILE])
        if document["format_version"] == 1:
            document = _from_version_1(document)
        inputs = tuple(map(of_document, document["inputs"]))
        target = column_of_document(document["target"])
        kind = kinds.find(document["kind"])
        return kind.of(document["parameters"], inputs, target, reference)


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a linear model of numbers, the only kind that version 1 had, as version 2."""
    parameters = {name: document[name] for name in ("weights", "intercept")}
    return {**document, "kind": "linear", "inputs": document["features"], "parameters": parameters}


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
            rows=int(finite(document["rows"])),
            features={name: Distribution.of_document(value) for name, value in document["features"].items()},
            prediction=Distribution.of_document(document["prediction"]),
        )


def _dump(document: Mapping[str, Any]) -> bytes:
    """Return JSON with a line for each member, in alphabetical order; not for each of very many numbers."""
    try:
        members = [
            f"  {json.dumps(name)}: {json.dumps(value, sort_keys=True, allow_nan=False)}"
            for name, value in sorted(document.items())
        ]
    except ValueError as error:
        raise ArtifactError(f"a model may have only finite numbers: {error}") from error
    return ("{\n" + ",\n".join(members) + "\n}\n").encode()


def _load(content: bytes) -> dict[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if (version := document.get("format_version")) not in READ_VERSIONS:
        read = " and ".join(map(str, READ_VERSIONS))
        raise ValueError(f"unsupported format version {version!r:.40}; this server reads versions {read}")
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
