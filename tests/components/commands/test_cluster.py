from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace as Record
from typing import Any
from unittest.mock import Mock

import pytest
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

from components.commands import cluster, messages
from components.commands.messages import NODE
from components.commands.steps import describe, steps
from pipeline import main

HOST = ["--host", "http://kfp.example"]
ROOT = ["--param", "registry_root=s3://models"]


def ended(state: str, tasks: list[Any] | None = None, error: str = "") -> Record:
    details = Record(task_details=tasks)
    return Record(state=state, run_details=details, error=Record(message=error) if error else None)


def task(name: str | None, state: str | None, *children: str, at: int = 0) -> Record:
    nodes = [Record(pod_name=child) for child in children]
    started = datetime(2026, 1, 1, second=at, tzinfo=UTC)
    return Record(display_name=name, state=state, child_tasks=nodes, start_time=started)


def started(state: str, minutes_ago: float, run_id: str = "r0", reason: str = "by hand") -> Record:
    return Record(
        run_id=run_id,
        state=state,
        created_at=datetime.now(UTC) - timedelta(minutes=minutes_ago),
        runtime_config=Record(parameters={"reason": reason}),
    )


def test_a_submitted_run_has_the_uploaded_version_and_the_typed_parameters(client: Mock) -> None:
    given = [*ROOT, "--param", "iterations=7", "--pipeline-root", "s3://runs"]
    assert main(["submit", *HOST, *given]) == 0
    run = client.run_pipeline.call_args.kwargs
    commit = run["params"].pop("git_commit")
    assert commit.removesuffix("-dirty").isalnum() or not commit
    assert run["params"] == {"registry_root": "s3://models", "iterations": 7, "reason": "by hand"}
    assert (run["experiment_id"], run["pipeline_id"], run["version_id"]) == ("e1", "p1", "v1")
    assert run["pipeline_root"] == "s3://runs"
    assert run["job_name"].startswith("linear-regressor-")


def test_a_run_that_fails_fails_the_command_and_says_why(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get_run.return_value = ended("FAILED", [task("ingest", "FAILED")], "no such bucket")
    assert main(["submit", *HOST, *ROOT]) == 1
    assert "run r1 failed: no such bucket" in capsys.readouterr().out


def test_the_steps_are_shown_as_they_change(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    client.get_run.side_effect = [
        Record(state="PENDING", run_details=None, error=None),
        ended("RUNNING", None),
        ended("RUNNING", [task(None, None), task("ingest", None)]),
        ended("RUNNING", [task("ingest", "RUNNING")]),
        ended("RUNNING", [task("ingest", "SUCCEEDED"), task("train", "RUNNING")]),
        ended("SUCCEEDED", [task("ingest", "SUCCEEDED"), task("train", "SUCCEEDED")]),
    ]
    assert cluster.follow(client, "r1")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["ingest", "running"],
        ["ingest", "succeeded"],
        ["train", "running"],
        ["train", "succeeded"],
        ["run", "r1", "succeeded"],
    ]


AWAY = MaxRetryError(Mock(), "/apis/v2beta1/runs/r1")


def refusal(status: int, reason: str, body: str = "") -> ApiException:
    error = ApiException(status, reason)
    error.body = body
    return error


def test_a_server_that_is_away_for_a_moment_does_not_end_who_follows_a_run(client: Mock) -> None:
    client.get_run.side_effect = [AWAY, refusal(503, "Service Unavailable"), ended("SUCCEEDED")]
    assert cluster.follow(client, "r1")


def test_a_server_that_stays_away_ends_it_in_one_line(
    client: Mock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", -1)
    client.get_run.side_effect = AWAY
    assert main(["submit", *HOST, *ROOT]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Kubeflow Pipelines at {HOST[1]}: MaxRetryError: ")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refusal(404, "Not Found", '{"code": 5, "message": "Run r7 not found"}'), "404: Run r7 not found"),
        (refusal(401, "Unauthorized", "<html>log in</html>"), "401: Unauthorized"),
    ],
)
def test_what_is_refused_is_told_in_one_line(
    error: ApiException, told: str, client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    client.list_runs.return_value = Record(runs=[started("SUCCEEDED", 1)])
    client.get_run.side_effect = error
    assert main(["status", *HOST, "r7"]) == 1
    assert capsys.readouterr().err == f"error: Kubeflow Pipelines at {HOST[1]}: {told}\n"


def test_what_was_uploaded_is_not_uploaded_again(client: Mock, tmp_path: Path) -> None:
    client.get_pipeline_id.return_value = "p9"
    client.list_pipeline_versions.return_value = Record(pipeline_versions=[Record(pipeline_version_id="v9")])
    (tmp_path / "pipeline.yaml").write_text("a")
    assert cluster.upload(client, "name", tmp_path / "pipeline.yaml", None) == ("p9", "v9")
    client.upload_pipeline.assert_not_called()
    client.upload_pipeline_version.assert_not_called()


def test_another_content_is_another_version(client: Mock, tmp_path: Path) -> None:
    for text in ("a", "b"):
        (tmp_path / "pipeline.yaml").write_text(text)
        cluster.upload(client, "name", tmp_path / "pipeline.yaml", None)
    first, second = (call.args[1] for call in client.upload_pipeline_version.call_args_list)
    assert first != second


@pytest.mark.parametrize(("cron", "sent"), [("0 3 * * *", "0 0 3 * * *"), ("30 0 3 * * 1", "30 0 3 * * 1")])
def test_a_schedule_runs_one_at_a_time(client: Mock, cron: str, sent: str) -> None:
    assert main(["schedule", *HOST, *ROOT, "--cron", cron]) == 0
    made = client.create_recurring_run.call_args.kwargs
    assert (made["cron_expression"], made["max_concurrency"], made["no_catchup"]) == (sent, 1, True)
    client.delete_recurring_run.assert_not_called()


def standing(identity: str = "s0", cron: str = "0 0 3 * * *", **changes: Any) -> Record:
    """A schedule as the cluster tells it, made by ``schedule --cron '0 3 * * *'``."""
    told = {
        "recurring_run_id": identity,
        "experiment_id": "e1",
        "status": "ENABLED",
        "trigger": Record(cron_schedule=Record(cron=cron)),
        "no_catchup": True,
        "pipeline_version_reference": Record(pipeline_version_id="v1"),
        "runtime_config": Record(
            parameters={"registry_root": "s3://models", "reason": "schedule", "git_commit": "c0"},
            pipeline_root="",
        ),
        "service_account": "pipeline-runner",
    }
    return Record(**{**told, **changes})


SCHEDULE = ["schedule", *HOST, *ROOT, "--param", "git_commit=c0", "--cron", "0 3 * * *"]


@pytest.mark.parametrize(
    ("old", "options"),
    [
        (standing(cron="0 0 4 * * *"), []),
        (standing(), ["--catch-up"]),
        (standing(), ["--param", "lr=0.2"]),
        (standing(), ["--pipeline-root", "s3://runs"]),
        (standing(), ["--service-account", "trainer"]),
        (standing(status="DISABLED"), []),
        (standing(pipeline_version_reference=Record(pipeline_version_id="v0")), []),
    ],
)
def test_a_schedule_that_says_something_else_replaces_the_one_of_its_name_once_it_stands(
    client: Mock, old: Record, options: list[str]
) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[old])
    assert main([*SCHEDULE, *options]) == 0
    calls = [call[0] for call in client.method_calls]
    assert calls.index("create_recurring_run") < calls.index("delete_recurring_run")
    client.delete_recurring_run.assert_called_once_with("s0")
    assert client.create_recurring_run.call_args.kwargs["no_catchup"] is ("--catch-up" not in options)


def test_a_schedule_that_says_the_same_is_left_alone(client: Mock) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[standing()])
    assert main(SCHEDULE) == 0
    client.create_recurring_run.assert_not_called()
    client.delete_recurring_run.assert_not_called()


def test_two_schedules_left_by_a_crash_become_one(client: Mock) -> None:
    left = [standing("s1", cron="0 0 4 * * *"), standing("s0")]
    client.list_recurring_runs.return_value = Record(recurring_runs=left)
    assert main(SCHEDULE) == 0
    client.create_recurring_run.assert_not_called()
    client.delete_recurring_run.assert_called_once_with("s1")


@pytest.mark.parametrize(("state", "retired"), [("RUNNING", "disable"), ("SUCCEEDED", "delete")])
def test_a_schedule_that_is_replaced_while_its_run_is_under_way_stays_disabled_for_it(
    client: Mock, state: str, retired: str
) -> None:
    client.list_recurring_runs.return_value = Record(recurring_runs=[standing("s7", cron="0 0 4 * * *")])
    client.list_runs.return_value = Record(runs=[Record(recurring_run_id="s7", state=state)])
    assert main(SCHEDULE) == 0
    calls = [call[0] for call in client.method_calls if call.args == ("s7",)]
    assert calls == [f"{retired}_recurring_run"]


def test_why_a_run_was_started_goes_into_its_lineage(client: Mock) -> None:
    assert main(["submit", *HOST, *ROOT, "--reason", "drift"]) == 0
    assert client.run_pipeline.call_args.kwargs["params"]["reason"] == "drift"
    assert main(SCHEDULE) == 0
    assert client.create_recurring_run.call_args.kwargs["params"]["reason"] == "schedule"


@pytest.mark.parametrize(
    ("state", "minutes_ago", "status"),
    [("SUCCEEDED", 30, 3), ("RUNNING", 0, 3), ("SUCCEEDED", 90, 0), ("FAILED", 1, 0), ("CANCELED", 1, 0)],
)
def test_a_run_too_soon_after_another_is_not_started(
    client: Mock, state: str, minutes_ago: int, status: int
) -> None:
    client.list_runs.return_value = Record(runs=[started(state, minutes_ago)])
    assert main(["submit", *HOST, *ROOT, "--at-most-every", "1h"]) == status
    assert client.run_pipeline.called is (status == 0)


@pytest.mark.parametrize("text", ["0h", "h", "6", "-1h", "6 h", "1w"])
def test_a_time_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", *HOST, *ROOT, f"--at-most-every={text}"])
    assert "such as 6h" in capsys.readouterr().err


def test_a_loop_is_told_in_one_line() -> None:
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
    told = steps(ended("RUNNING", nodes))
    assert [(step.name, describe(step)) for step in told] == [
        ("plan", "succeeded"),
        ("ingest", "running, 1 of 2 done"),
    ]


def test_a_step_of_which_one_part_failed_has_failed() -> None:
    (step,) = steps(ended("FAILED", [task("ingest", "SUCCEEDED"), task("ingest", "FAILED")]))
    assert step.failed
    assert describe(step) == "failed, 1 of 2 done"


def test_the_status_lists_runs_and_the_steps_of_the_newest(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    client.list_runs.return_value = Record(
        runs=[started("FAILED", 1, "r7", "drift"), started("SUCCEEDED", 9)]
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


def test_the_logs_are_those_of_the_steps_that_failed(
    client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_the_logs_of_one_step_can_be_asked_for(
    client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", *HOST, "r7", "--step", "ingest"]) == 0
    said = capsys.readouterr().out
    assert said.count("---") == 2
    assert "register" not in said


def test_the_reason_outlives_the_log(client: Mock, core: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    core.read_namespaced_pod_log.side_effect = None
    core.read_namespaced_pod_log.return_value = "failed to try resolving symlinks in path"
    assert main(["logs", *HOST, "r7"]) == 0
    said = capsys.readouterr().out
    assert "(its log is gone)\nMlflowException: no answer" in said


def test_without_a_run_there_are_no_logs(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", *HOST]) == 1
    assert "there are no runs yet" in capsys.readouterr().err


def test_a_run_on_a_cluster_needs_a_place_for_its_models(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *HOST]) == 1
    assert "--param registry_root=URI is needed" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()
