"""Runs, their steps and the logs of failed steps on Kubeflow Pipelines."""

from types import SimpleNamespace as Record
from unittest.mock import Mock

import pytest

from components.operations.cli import messages
from components.operations.cli.messages import NODE
from components.operations.cli.steps import describe, steps
from pipeline import main
from tests.components.operations.cli.kubeflow import HOST, listed_run, run_with, task


def test_describes_a_loop_as_one_step() -> None:
    nodes = [
        task("run-x", "RUNNING", "run-x-1"),
        task("root", "RUNNING", "run-x-2"),
        task("plan", "SUCCEEDED", "run-x-3", at=1),
        task("plan-driver", "SUCCEEDED", "run-x-4"),
        task("for-loop-1", "RUNNING", "run-x-5"),
        task("iteration-iterations(0:0)", "RUNNING", "run-x-6"),
        task("ingest", "SUCCEEDED", "run-x-7", at=3),
        task("ingest", "RUNNING", "run-x-8", at=2),
        task("executor(1)", "FAILED"),
    ]
    found = steps(run_with("RUNNING", nodes))
    assert [(step.name, describe(step)) for step in found] == [
        ("plan", "succeeded"),
        ("ingest", "running, 1 of 2 done"),
    ]


def test_a_step_has_failed_when_one_iteration_failed() -> None:
    (step,) = steps(run_with("FAILED", [task("ingest", "SUCCEEDED"), task("ingest", "FAILED")]))
    assert step.failed
    assert describe(step) == "failed, 1 of 2 done"


def test_status_lists_runs_and_the_steps_of_the_newest(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    client.list_runs.return_value = Record(
        runs=[listed_run("FAILED", 1, "r7", "drift"), listed_run("SUCCEEDED", 9)]
    )
    client.get_run.return_value = Record(
        run_id="r7", run_details=Record(task_details=[task("plan", "FAILED")])
    )
    assert main(["status", *HOST]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert (lines[0][0], lines[0][3:]) == ("r7", ["failed", "drift"])
    assert (lines[1][0], lines[1][3:]) == ("r0", ["succeeded", "by", "hand"])
    assert lines[3:] == [["run", "r7"], ["plan", "failed"]]
    client.get_run.assert_called_once_with("r7")


def pod(step: str, phase: str, message: str = "", *, attempt: int = 0) -> Record:
    ended = Record(exit_code=int(phase == "Failed"), message=message, reason="Error")
    state = Record(terminated=ended, waiting=None)
    return Record(
        metadata=Record(
            name=f"{step}-{attempt}",
            creation_timestamp=attempt,
            annotations={NODE: f"run.root.{step}.executor({attempt})"},
        ),
        status=Record(phase=phase, message=None, container_statuses=[Record(name="main", state=state)]),
    )


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Kubernetes with the pods of a run: the second attempt at ingest went well, register failed."""
    core = Mock()
    core.list_namespaced_pod.return_value = Record(
        items=[
            pod("register", "Failed", "MlflowException: no answer", attempt=2),
            pod("ingest", "Failed", "OSError: away", attempt=0),
            pod("ingest", "Succeeded", attempt=1),
            Record(
                metadata=Record(name="d", creation_timestamp=3, annotations={NODE: "run.root.ingest-driver"}),
                status=Record(phase="Failed", message=None, container_statuses=None),
            ),
        ]
    )
    core.read_namespaced_pod_log.side_effect = lambda name, *_, **__: f"what {name} said\n"
    monkeypatch.setattr(messages, "connect", lambda: core)
    return core


def test_logs_are_those_of_failed_steps(client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", *HOST, "r7"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "--- ingest (ingest-0)",
        "what ingest-0 said",
        "OSError: away",
        "--- register (register-2)",
        "what register-2 said",
        "MlflowException: no answer",
    ]
    assert core.list_namespaced_pod.call_args.kwargs == {"label_selector": "pipeline/runid=r7"}


def test_logs_of_one_step(client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", *HOST, "r7", "--step", "ingest"]) == 0
    said = capsys.readouterr().out
    assert said.count("---") == 2
    assert "register" not in said


def test_logs_give_the_reason_when_the_log_is_gone(
    client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    core.read_namespaced_pod_log.side_effect = None
    core.read_namespaced_pod_log.return_value = "failed to try resolving symlinks in path"
    assert main(["logs", *HOST, "r7"]) == 0
    said = capsys.readouterr().out
    assert "(its log is gone)\nMlflowException: no answer" in said


def test_logs_need_a_run(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", *HOST]) == 1
    assert "there are no runs yet" in capsys.readouterr().err
