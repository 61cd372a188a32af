import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kfp.local.config import SubprocessRunner
from kfp.local.status import Status
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

from components.operations.cli.fork_runner import AVAILABLE, forked_steps

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="no forks on this system")


@pytest.fixture(scope="module", autouse=True)
def forks() -> Iterator[None]:
    """Steps are forks, with a module imported that nothing else here imports."""
    with forked_steps(["this_module_is_missing", "tabnanny"]):
        yield


def run(folder: Path, body: str, environment: dict[str, str] | None = None) -> Status:
    """Run a lightweight component as kfp.local would."""
    folder.mkdir(exist_ok=True)
    given = json.dumps({"inputs": {}, "outputs": {"outputFile": str(folder / "output")}})
    script = "python3 -m kfp.dsl.executor_main"
    command = ["sh", "-c", script, f"def step():\n    {body}\n", "--executor_input", given]
    handler = SubprocessTaskHandler(
        "python:3",
        [*command, "--function_to_execute", "step"],
        str(folder),
        SubprocessRunner(use_venv=False),
        environment,
    )
    return handler.run()


def test_prints_what_a_step_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "import os, sys; print('hello', os.environ['WORD'], os.getpid()); print('there', file=sys.stderr)"
    status = run(tmp_path, body, {"WORD": "world"})
    printed = capsys.readouterr().out
    assert status is Status.SUCCESS
    assert "hello world " in printed
    assert "there" in printed
    assert f"hello world {os.getpid()}" not in printed
    assert "WORD" not in os.environ


def test_a_step_finds_imported_what_was_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "tabnanny" not in sys.modules
    run(tmp_path, "import sys; print('tabnanny' in sys.modules)")
    assert "True" in capsys.readouterr().out


def test_reports_the_exception_of_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(tmp_path, "raise ValueError('odd row')")
    assert status is Status.FAILURE
    assert "ValueError: odd row" in capsys.readouterr().out


def test_reports_a_killed_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert status is Status.FAILURE
    assert "process was killed" in capsys.readouterr().out


def test_runs_steps_side_by_side(tmp_path: Path) -> None:
    """Each waits for the file that the other makes."""
    wait = "while not pathlib.Path({!r}).exists(): time.sleep(0.01)"
    bodies = [
        f"import pathlib, time; pathlib.Path({str(tmp_path / own)!r}).touch()\n    "
        + wait.format(str(tmp_path / other))
        for own, other in (("a", "b"), ("b", "a"))
    ]
    with ThreadPoolExecutor(2) as pool, contextlib.redirect_stdout(io.StringIO()):
        results = list(pool.map(run, [tmp_path / "1", tmp_path / "2"], bodies))
    assert results == [Status.SUCCESS] * 2
