"""A copy of the repository, to release from, and patience with servers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from delivery import version
from delivery.smoke import target
from tests.support.http import PATIENCE


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers as long as a busy machine may take."""
    monkeypatch.setattr(target, "SECONDS", PATIENCE)


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
