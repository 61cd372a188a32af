"""A copy of the repository, to release from, and patience with servers."""

from pathlib import Path

import pytest

from delivery.smoke import target
from tests.support.http import PATIENCE
from tests.support.repository import copy_checkout, git


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers as long as a busy machine may take."""
    monkeypatch.setattr(target, "SECONDS", PATIENCE)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The files that git knows, in a repository of their own."""
    copy = tmp_path / "repository"
    copy_checkout(copy)
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    return copy
