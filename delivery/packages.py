"""Check what a wheel and an sdist hold: the files that git knows, and nothing else."""

import tarfile
import zipfile
from pathlib import Path

from delivery import version

_WHEEL = ("components/", "predictor/", "pipeline.py")
"""Of the repository, what is installed."""
_NOT_IN_SDIST = (".ci/", ".github/", ".pre-commit-config.yaml")


class PackageError(Exception):
    """A package that lacks a file, has one too many, or is of another version."""


def check(folder: Path, root: Path) -> list[Path]:
    """Check the one wheel and the one sdist in a folder; returns their paths.

    Args:
        folder: what hatchling built into.
        root: of the repository.

    Raises:
        PackageError: one is missing or has other contents than it should.
    """
    release = f"linear_regressor-{version.current(root).replace('-rc.', 'rc')}"
    wheel, sdist = folder / f"{release}-py3-none-any.whl", folder / f"{release}.tar.gz"
    for path in (wheel, sdist):
        if not path.is_file():
            there = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
            raise PackageError(f"{path.name} was not built; {folder} holds {there}")
    files = set(version.tracked(root))
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{release}.dist-info/")}
        _compare(wheel, names, {name for name in files if name.startswith(_WHEEL)})
    with tarfile.open(sdist) as tar:
        members = {member.name.removeprefix(f"{release}/") for member in tar if member.isfile()}
        _compare(
            sdist, members - {"PKG-INFO"}, {name for name in files if not name.startswith(_NOT_IN_SDIST)}
        )
    return [wheel, sdist]


def _compare(package: Path, names: set[str], expected: set[str]) -> None:
    problems = [
        f"{package.name} {verb} {', '.join(sorted(files))}"
        for verb, files in (("lacks", expected - names), ("should not have", names - expected))
        if files
    ]
    if problems:
        raise PackageError("; ".join(problems))
