"""Submitting a run to Kubeflow Pipelines, and following it."""

from pathlib import Path
from types import SimpleNamespace as Record
from unittest.mock import Mock

import pytest
from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

from components.operations.cli import cluster
from pipeline import main
from tests.components.operations.cli.kubeflow import HOST, MLFLOW, ROOT, listed_run, run_with, task

UNAVAILABLE = MaxRetryError(Mock(), "/apis/v2beta1/runs/r1")


def refusal(status: int, reason: str, body: str = "") -> ApiException:
    error = ApiException(status, reason)
    error.body = body
    return error


def test_submits_the_uploaded_version_with_typed_parameters(client: Mock) -> None:
    given = [*ROOT, "--param", "iterations=7", "--pipeline-root", "s3://runs"]
    assert main(["submit", *HOST, *given]) == 0
    run = client.run_pipeline.call_args.kwargs
    commit = run["params"].pop("git_commit")
    assert commit.removesuffix("-dirty").isalnum() or not commit
    registry = {"registry_root": "s3://models", "tracking_uri": MLFLOW}
    assert run["params"] == {**registry, "iterations": 7, "reason": "by hand"}
    assert (run["experiment_id"], run["pipeline_id"], run["version_id"]) == ("e1", "p1", "v1")
    assert run["pipeline_root"] == "s3://runs"
    assert run["job_name"].startswith("linear-regressor-")


def test_submits_the_reason_as_a_parameter(client: Mock) -> None:
    assert main(["submit", *HOST, *ROOT, "--reason", "drift"]) == 0
    assert client.run_pipeline.call_args.kwargs["params"]["reason"] == "drift"


def test_a_run_on_a_cluster_needs_a_registry_root(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *HOST]) == 1
    assert "--param registry_root=URI is required" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()


def test_a_run_with_models_in_an_object_store_needs_a_tracking_uri(
    client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *HOST, "--param", "registry_root=s3://models"]) == 1
    assert "--param tracking_uri=URL is needed" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()


def test_uploads_the_same_pipeline_once(client: Mock, tmp_path: Path) -> None:
    client.get_pipeline_id.return_value = "p9"
    client.list_pipeline_versions.return_value = Record(pipeline_versions=[Record(pipeline_version_id="v9")])
    (tmp_path / "pipeline.yaml").write_text("a")
    assert cluster.upload(client, "name", tmp_path / "pipeline.yaml", None) == ("p9", "v9")
    client.upload_pipeline.assert_not_called()
    client.upload_pipeline_version.assert_not_called()


def test_uploads_changed_content_as_another_version(client: Mock, tmp_path: Path) -> None:
    for text in ("a", "b"):
        (tmp_path / "pipeline.yaml").write_text(text)
        cluster.upload(client, "name", tmp_path / "pipeline.yaml", None)
    first, second = (call.args[1] for call in client.upload_pipeline_version.call_args_list)
    assert first != second


def test_reports_why_a_run_failed(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    client.get_run.return_value = run_with("FAILED", [task("ingest", "FAILED")], "no such bucket")
    assert main(["submit", *HOST, *ROOT]) == 1
    assert "run r1 failed: no such bucket" in capsys.readouterr().out


def test_prints_each_step_when_its_state_changes(client: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    client.get_run.side_effect = [
        Record(state="PENDING", run_details=None, error=None),
        run_with("RUNNING", None),
        run_with("RUNNING", [task(None, None), task("ingest", None)]),
        run_with("RUNNING", [task("ingest", "RUNNING")]),
        run_with("RUNNING", [task("ingest", "SUCCEEDED"), task("train", "RUNNING")]),
        run_with("SUCCEEDED", [task("ingest", "SUCCEEDED"), task("train", "SUCCEEDED")]),
    ]
    assert cluster.follow(client, "r1")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["ingest", "running"],
        ["ingest", "succeeded"],
        ["train", "running"],
        ["train", "succeeded"],
        ["run", "r1", "succeeded"],
    ]


def test_follows_a_run_while_the_server_is_briefly_unavailable(client: Mock) -> None:
    client.get_run.side_effect = [UNAVAILABLE, refusal(503, "Service Unavailable"), run_with("SUCCEEDED")]
    assert cluster.follow(client, "r1")


def test_prints_one_line_when_the_server_stays_unavailable(
    client: Mock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", -1)
    client.get_run.side_effect = UNAVAILABLE
    assert main(["submit", *HOST, *ROOT]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Kubeflow Pipelines at {HOST[1]}: MaxRetryError: ")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(404, "Not Found", '{"code": 5, "message": "Run r7 not found"}'), "404: Run r7 not found"),
        (refusal(401, "Unauthorized", "<html>log in</html>"), "401: Unauthorized"),
    ],
)
def test_prints_one_line_when_kubeflow_pipelines_refuses_a_request(
    error: ApiException, message: str, client: Mock, capsys: pytest.CaptureFixture[str]
) -> None:
    client.list_runs.return_value = Record(runs=[listed_run("SUCCEEDED", 1)])
    client.get_run.side_effect = error
    assert main(["status", *HOST, "r7"]) == 1
    assert capsys.readouterr().err == f"error: Kubeflow Pipelines at {HOST[1]}: {message}\n"


@pytest.mark.parametrize(
    ("state", "minutes_ago", "status"),
    [("SUCCEEDED", 30, 3), ("RUNNING", 0, 3), ("SUCCEEDED", 90, 0), ("FAILED", 1, 0), ("CANCELED", 1, 0)],
)
def test_does_not_submit_a_run_too_soon_after_another(
    client: Mock, state: str, minutes_ago: int, status: int
) -> None:
    client.list_runs.return_value = Record(runs=[listed_run(state, minutes_ago)])
    assert main(["submit", *HOST, *ROOT, "--at-most-every", "1h"]) == status
    assert client.run_pipeline.called is (status == 0)


@pytest.mark.parametrize("text", ["0h", "h", "6", "-1h", "6 h", "1w"])
def test_refuses_an_invalid_interval(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", *HOST, *ROOT, f"--at-most-every={text}"])
    assert "such as 6h" in capsys.readouterr().err
