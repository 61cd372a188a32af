"""The immutable folders of the versions, ``<root>/models/<name>/<version>/``, on disk or in a store."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from predictor.model import artifact
from predictor.model.artifact import MANIFEST_FILE, ArtifactError
from predictor.model.base import Model


class FolderError(Exception):
    """A version's folder is missing, damaged, or has another model than expected."""


class Folders(Protocol):
    """The folders of the versions of one model."""

    name: str
    """Of the model."""

    def uri(self, number: int) -> str:
        """Return the folder of version ``number``, as KServe's storageUri or a path."""

    def publish(self, source: Path, number: int) -> None:
        """Copy a folder to its version's folder, unless that exists.

        Raises:
            FolderError: there is another model.
        """

    def load(self, number: int) -> tuple[Model, str]:
        """Read and verify a version; returns the model and its digest.

        Raises:
            FolderError: it is missing or damaged.
        """


class LocalFolders(Folders):
    """Folders on a disk. A rename makes a version appear as a whole."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._parent = root / "models" / name

    def uri(self, number: int) -> str:
        """Return the folder's absolute path."""
        return str(self._parent / str(number))

    def publish(self, source: Path, number: int) -> None:
        """Copy to a temporary folder, then rename it."""
        place = self._parent / str(number)
        if place.exists():
            return _same(self.load(number)[1], source, place)
        for abandoned in self._parent.glob(f".{number}.*"):
            shutil.rmtree(abandoned)
        with artifact.new_folder(place) as staging:
            for name, content in _contents(source).items():
                (staging / name).write_bytes(content)
        return None

    def load(self, number: int) -> tuple[Model, str]:
        """Read in place."""
        try:
            return artifact.read(self._parent / str(number))
        except ArtifactError as error:
            raise FolderError(f"version {number} is damaged: {error}") from error


class RemoteFolders(Folders):
    """Folders in an object store, through fsspec. The manifest is written last, and readers need it."""

    def __init__(self, root: str, name: str) -> None:
        import fsspec

        self.name = name
        self._parent = f"{root.rstrip('/')}/models/{name}"
        self._files: Any
        self._files, self._path = fsspec.core.url_to_fs(self._parent)

    def uri(self, number: int) -> str:
        """Return the URI for KServe; without its slash KServe also pulls version 10 for version 1."""
        return f"{self._parent}/{number}/"

    def publish(self, source: Path, number: int) -> None:
        """Upload file by file, overwriting what a crash left incomplete."""
        self._files.invalidate_cache()
        place = f"{self._path}/{number}"
        if self._files.exists(f"{place}/{MANIFEST_FILE}"):
            return _same(self.load(number)[1], source, self.uri(number))
        for name, content in _contents(source).items():
            self._files.pipe_file(f"{place}/{name}", content)
        return None

    def load(self, number: int) -> tuple[Model, str]:
        """Download, then read."""
        self._files.invalidate_cache()
        place = f"{self._path}/{number}"
        with tempfile.TemporaryDirectory() as folder:
            for path in self._files.find(place):
                (Path(folder) / Path(path).name).write_bytes(self._files.cat_file(path))
            try:
                return artifact.read(folder)
            except ArtifactError as error:
                problem = str(error).replace(folder, self.uri(number))
                raise FolderError(f"version {number} is damaged: {problem}") from error


def open_folders(root: str | Path, name: str) -> Folders:
    """Open the folders under a path or the URI of an object store, such as ``s3://bucket/prefix``."""
    path = local_path(root)
    return RemoteFolders(str(root), name) if path is None else LocalFolders(path, name)


def local_path(root: str | Path) -> Path | None:
    """Return the absolute path of ``root``; None if it is the URI of an object store."""
    text = str(root)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    return None if "://" in text else Path(text).expanduser().absolute()


def _contents(source: Path) -> dict[str, bytes]:
    """Return the files of a version. The manifest is last: a folder is complete once it has one."""
    files = sorted(source.iterdir(), key=lambda file: (file.name == MANIFEST_FILE, file.name))
    return {file.name: file.read_bytes() for file in files}


def _same(standing: str, source: Path, place: str | Path) -> None:
    brought = artifact.read(source)[1]
    if standing != brought:
        raise FolderError(f"{place} holds the model {standing}, and is never overwritten by {brought}")
