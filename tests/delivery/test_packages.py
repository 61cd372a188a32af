"""Wheel and sdist hold the files that git knows, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from delivery import packages


def test_packages_hold_what_git_knows_and_nothing_else(repository: Path) -> None:
    dist = repository / "dist"
    (repository / "predictor" / "stray.py").write_text("")
    for left in (".cache", "build", "node_modules"):  # by make docs
        (repository / left).mkdir()
        (repository / left / "file").write_text("")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(dist)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)

    with pytest.raises(packages.PackageError, match=r"\.whl should not have predictor/stray.py"):
        packages.check(dist, repository)

    subprocess.run(["git", "add", "predictor/stray.py"], cwd=repository, check=True)
    wheel, sdist = packages.check(dist, repository)
    assert (wheel.suffix, sdist.suffix) == (".whl", ".gz")

    (repository / "components" / "late.py").write_text("")
    subprocess.run(["git", "add", "components/late.py"], cwd=repository, check=True)
    with pytest.raises(packages.PackageError, match=r"\.whl lacks components/late.py"):
        packages.check(dist, repository)


def test_a_package_that_was_not_built_is_named(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "other.whl").touch()
    with pytest.raises(packages.PackageError, match=r"linear_regressor-.*\.whl was not built; .* other\.whl"):
        packages.check(tmp_path, repository)
