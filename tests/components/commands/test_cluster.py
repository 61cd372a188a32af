from pathlib import Path
from types import SimpleNamespace as Record
from typing import Any
from unittest.mock import Mock, create_autospec

import kfp
import pytest

from components.commands import cluster
from pipeline import main

HOST = ["--host", "http://kfp.example"]
ROOT = ["--param", "registry_root=s3://models"]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Kubeflow Pipelines with nothing in it, whose methods take what the real ones take."""
    client: Mock = create_autospec(kfp.Client, instance=True)
    client.get_pipeline_id.return_value = None
    client.upload_pipeline.return_value = Record(pipeline_id="p1")
    client.list_pipeline_versions.return_value = Record(pipeline_versions=None)
    client.upload_pipeline_version.return_value = Record(pipeline_version_id="v1")
    client.create_experiment.return_value = Record(experiment_id="e1")
    client.run_pipeline.return_value = Record(run_id="r1")
    client.get_run.return_value = ended("SUCCEEDED")
    client.list_recurring_runs.return_value = Record(recurring_runs=None)
    client.create_recurring_run.return_value = Record(recurring_run_id="s1")
    monkeypatch.setattr("kfp.Client", create_autospec(kfp.Client, return_value=client))
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    return client


def ended(state: str, tasks: list[Any] | None = None, error: str = "") -> Record:
    details = Record(task_details=tasks)
    return Record(state=state, run_details=details, error=Record(message=error) if error else None)


def task(name: str | None, state: str | None) -> Record:
    return Record(display_name=name, state=state)


def test_a_submitted_run_has_the_uploaded_version_and_the_typed_parameters(client: Mock) -> None:
    given = [*ROOT, "--param", "iterations=7", "--pipeline-root", "s3://runs"]
    assert main(["submit", *HOST, *given]) == 0
    run = client.run_pipeline.call_args.kwargs
    assert run["params"] == {"registry_root": "s3://models", "iterations": 7}
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


def test_a_schedule_replaces_the_one_of_its_name_once_it_stands(client: Mock) -> None:
    old = Record(recurring_run_id="s0")
    client.list_recurring_runs.return_value = Record(recurring_runs=[old])
    assert main(["schedule", *HOST, *ROOT, "--cron", "0 3 * * *", "--catch-up"]) == 0
    calls = [call[0] for call in client.method_calls]
    assert calls.index("create_recurring_run") < calls.index("delete_recurring_run")
    client.delete_recurring_run.assert_called_once_with("s0")
    assert client.create_recurring_run.call_args.kwargs["no_catchup"] is False


def test_a_run_on_a_cluster_needs_a_place_for_its_models(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *HOST]) == 1
    assert "--param registry_root=URI is needed" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()
