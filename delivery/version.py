"""The project's version: it is set in pyproject.toml, and every other place has to have the same."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
VERSION = r"\d+\.\d+\.\d+(?:-rc\.\d+)?"
"""A semantic version that is also one of Python's (PEP 440): 1.2.3, or 1.2.3-rc.1 before it."""

_SOURCE = "pyproject.toml"
_NOT_OURS = ("requirements/", "CHANGELOG.md")
_IMAGE = rf"\b(?:predictor|pipeline|registry|store):(?P<version>{VERSION})\b"
_LINES = {
    _SOURCE: rf'^version = "(?P<version>{VERSION})"$',
    "Dockerfile": rf"^ARG VERSION=(?P<version>{VERSION})$",
    "helm/linear-regressor/Chart.yaml": rf'^(?:version|appVersion): "?(?P<version>{VERSION})"?$',
    "manifests/gitops/argocd.yaml": rf"^ *targetRevision: (?P<version>{VERSION})$",
    "manifests/gitops/flux.yaml": rf"^ *tag: (?P<version>{VERSION})$",
    "manifests/example/kustomization.yaml": rf"^ *newTag: (?P<version>{VERSION})$",
}


class VersionError(Exception):
    """A version that is none, or a place that has another one."""


class Place(NamedTuple):
    """A place that has the version: ``line`` counts from 1."""

    path: str
    line: int
    version: str


def current(root: Path) -> str:
    """Return the version in pyproject.toml."""
    found = re.search(_LINES[_SOURCE], (root / _SOURCE).read_text(), re.MULTILINE)
    if found is None:
        raise VersionError(f'{_SOURCE} has no line such as: version = "1.2.3"')
    return found["version"]


def places(root: Path) -> Iterator[Place]:
    """Yield every place that has the version: tags of images, and those of packages and chart."""
    for path, text in _texts(root):
        for found in _matches(path, text):
            yield Place(path, text.count("\n", 0, found.start()) + 1, found["version"])


def check(expected: str, root: Path) -> None:
    """Raise VersionError unless every place has the expected version."""
    if wrong := [place for place in places(root) if place.version != expected]:
        listed = "\n".join(f"  {path}:{line} has {version}" for path, line, version in wrong)
        raise VersionError(f"the version is not {expected} everywhere:\n{listed}")


def change(version: str, root: Path) -> list[str]:
    """Set the version in every place; returns the paths of the files that were changed.

    Raises:
        VersionError: it is not a version.
    """
    if not re.fullmatch(VERSION, version):
        raise VersionError(f"{version!r} is not a version: it needs the form 1.2.3 or 1.2.3-rc.1")
    changed = []
    for path, text in _texts(root):
        new = text
        for found in reversed(list(_matches(path, text))):
            new = new[: found.start("version")] + version + new[found.end("version") :]
        if new != text:
            (root / path).write_text(new)
            changed.append(path)
    return changed


def tracked(root: Path) -> list[str]:
    """Return the paths of the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, stdout=subprocess.PIPE)
    return listed.stdout.decode().split("\0")[:-1]


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    for path in tracked(root):
        if not path.startswith(_NOT_OURS):
            try:
                yield path, (root / path).read_text()
            except (UnicodeDecodeError, FileNotFoundError):
                continue


def _matches(path: str, text: str) -> list[re.Match[str]]:
    patterns = [_IMAGE, *([_LINES[path]] if path in _LINES else [])]
    found = [match for pattern in patterns for match in re.finditer(pattern, text, re.MULTILINE)]
    return sorted(found, key=re.Match.start)
