"""Ways to run the whole pipeline, and the registries that it leaves."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from kfp.dsl.executor import Executor
from kfp.local import subprocess_task_handler

import pipeline
from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.operations.cli import fork_runner
from components.plan.component import plan
from components.register.component import register
from components.registry.index import open_index
from components.registry.registry import open_registry
from components.train.component import train
from tests.support.registry import empty_registry

STEPS = {step.name: step for step in (plan, ingest, train, evaluate, register)}
Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]


def run_in_processes(place: Path, *parameters: str, cwd: Path | str = "/") -> Finished:
    """Run the pipeline as a user does: the command in a process, each step in another.

    Args:
        place: of the registry and the run's files.
        parameters: each NAME=VALUE.
        cwd: the current directory, by default another than the checkout.
    """
    command = [sys.executable, str(Path(pipeline.__file__).resolve()), *_arguments(place, parameters)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def run_in_this_process(
    place: Path, *parameters: str, cwd: Path | str = "/", options: Sequence[str] = ()
) -> Finished:
    """Run the pipeline with kfp.local, but call the steps' functions instead of starting processes.

    The arguments are those of `run_in_processes`, and more options of the command.
    """
    arguments, out, err = [*_arguments(place, parameters), *options], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(cwd):
        patch.setattr(fork_runner, "forked_steps", lambda modules: contextlib.nullcontext())
        patch.setattr(subprocess_task_handler, "run_local_subprocess", _call_step)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = pipeline.main(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(run_in_this_process, id="in this process"),
        pytest.param(run_in_processes, id="in processes", marks=pytest.mark.slow),
    ],
)
def run(request: pytest.FixtureRequest) -> Run:
    """Run the pipeline, in this process or, in the slow tests, in processes of its own."""
    way: Run = request.param
    return way


@pytest.fixture(scope="session")
def first_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry after one run with every default; it is to be copied."""
    place = empty_registry(tmp_path_factory, tmp_path_factory.mktemp("first") / ".local")
    done = run(place, "run_id=first")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def place(first_run: Path, tmp_path: Path) -> Path:
    """The registry after one run with every default, to go on from."""
    return Path(shutil.copytree(first_run, tmp_path / ".local"))


@pytest.fixture
def empty_place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without versions."""
    return empty_registry(tmp_path_factory, tmp_path / "here")


def tags_of(place: Path, number: int) -> Mapping[str, str]:
    """Return the tags of a version."""
    return open_index("", "linear-regressor", place / "mlflow.db").version(number).tags


def champion_of(place: Path) -> int:
    """Return the number of the champion."""
    champion = open_registry(place).champion()
    assert champion is not None
    return champion.number


def steps_of(done: Finished) -> list[str]:
    """Return the first word of each line that tells of a step, up to the first empty line."""
    lines = done.stdout.partition("\n\n")[0].splitlines()
    return [line.split()[0] for line in lines]


def _arguments(place: Path, parameters: tuple[str, ...]) -> list[str]:
    return ["run", "--local", str(place), *(word for text in parameters for word in ("--param", text))]


def _call_step(full_command: list[str], env_vars: Mapping[str, str]) -> int:
    """Do what the process of a step does, and return its exit status."""
    given = dict(pairwise(full_command))
    step = STEPS[given["--function_to_execute"]]
    try:
        Executor(json.loads(given["--executor_input"]), step.python_func).execute()
    except Exception:  # noqa: BLE001 - a process would end with it
        print(traceback.format_exc())
        return 1
    return 0
