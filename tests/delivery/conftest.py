"""A copy of the repository, to release from."""

import shutil
import subprocess
from pathlib import Path

import pytest

from delivery import version


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The files that git knows, in a repository of their own."""
    copy = tmp_path / "repository"
    for path in version.tracked(version.ROOT):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(version.ROOT / path, copy / path)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy
