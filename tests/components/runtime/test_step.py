import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.runtime import step


def test_sets_the_variables_of_the_secret_that_are_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in step.VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is restored afterwards, also where it was not set
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "mine")
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("key\n")
    (tmp_path / "AWS_DEFAULT_REGION").write_text("theirs")
    (tmp_path / "PYTHONPATH").write_text("/nowhere")
    before = os.environ.get("PYTHONPATH")
    step.begin(tmp_path, tmp_path / "no message")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "key"
    assert os.environ["AWS_DEFAULT_REGION"] == "mine"
    assert os.environ.get("PYTHONPATH") == before


def test_does_nothing_outside_of_a_cluster(tmp_path: Path) -> None:
    before, hook = dict(os.environ), sys.excepthook
    step.begin(tmp_path / "no secret", tmp_path / "no message")
    assert dict(os.environ) == before
    assert sys.excepthook is hook


def test_a_failing_step_writes_its_reason(tmp_path: Path) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    program = (
        "import pathlib, sys; from components.runtime import step;"
        "step.begin(pathlib.Path('/nowhere'), pathlib.Path(sys.argv[1]));"
        "raise ValueError('no such column: ' + 'x' * 9000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(message)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert message.read_text().startswith("ValueError: no such column: xxx")
    assert message.stat().st_size == step.MESSAGE_LENGTH
