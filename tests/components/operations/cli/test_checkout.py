"""The commit of a checkout."""

import subprocess
from pathlib import Path

import pytest

from components.operations.cli.checkout import commit

CODE = ("code", "main.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a commit."""
    (tmp_path / "code").mkdir()
    for name in ("code/a.py", "main.py", "README.md"):
        (tmp_path / name).write_text("first\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "First"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        pytest.param("code/a.py", True, id="changed code"),
        pytest.param("code/new.py", True, id="new code"),
        pytest.param("data.csv", False, id="new data"),
        pytest.param("code/a.pyc", False, id="an ignored file"),
    ],
)
def test_code_that_is_not_in_the_commit_marks_it(checkout: Path, file: str, dirty: bool) -> None:
    clean = commit(checkout, CODE)
    assert len(clean) == 40
    (checkout / file).write_text("second\n")
    assert commit(checkout, CODE) == (f"{clean}-dirty" if dirty else clean)


def test_outside_of_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert commit(tmp_path, CODE) == ""
