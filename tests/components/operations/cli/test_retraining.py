"""The command `retrain`: start a run when one is due."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace as Record
from unittest.mock import Mock

import numpy as np
import pytest
from kfp.client import KF_PIPELINES_SA_TOKEN_ENV

from components.operations.monitor.watch import window
from pipeline import main
from tests.components.operations.cli.conftest import TRAINED, record_feedback
from tests.components.operations.cli.kubeflow import listed_run

UNREACHABLE = "http://127.0.0.1:1"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def arguments(tmp_path: Path, root: Path) -> list[str]:
    """The command, for a registry with a champion, its feedback and a folder of data."""
    about = [
        "--feedback",
        str(tmp_path / "feedback"),
        "--registry-root",
        str(root),
        "--to",
        str(tmp_path / "data"),
    ]
    return ["retrain", "--host", "http://kfp.example", *about]


@pytest.fixture
def drifted(tmp_path: Path) -> None:
    """Four hundred rows far from what the champion was trained on."""
    record_feedback(tmp_path / "feedback", TRAINED[:400] + 2.0, np.full(400, 2.0))


def runs(minutes_ago: float, state: str) -> Record:
    return Record(runs=[listed_run(state, minutes_ago)])


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.usefixtures("drifted")
def test_collects_data_and_starts_a_run_with_the_reason(
    client: Mock, arguments: list[str], tmp_path: Path, root: Path, capsys: Capture
) -> None:
    assert main([*arguments, "--param", "test_share=0.2"]) == 0
    said = capsys.readouterr().out
    run = client.run_pipeline.call_args.kwargs["params"]
    assert run.pop("reason").startswith("drift: (prediction) has a stability index of")
    assert run.pop("git_commit") is not None
    assert run == {
        "registry_root": str(root),
        "tracking_uri": "",
        "model_name": "linear-regressor",
        "source": f"{tmp_path}/data/*.parquet",
        "answers": window(7),
        "test_share": 0.2,
    }
    assert "a retraining is due:\ndrift: " in said
    assert ".parquet: 400 rows\nrun r1 started\n" in said
    client.get_run.assert_not_called()


@pytest.mark.usefixtures("drifted")
def test_the_reason_is_that_of_the_command_due(client: Mock, arguments: list[str], capsys: Capture) -> None:
    assert main(["due", *arguments[3:7]]) == 0
    reason = capsys.readouterr().out.strip()
    assert main(arguments) == 0
    assert client.run_pipeline.call_args.kwargs["params"]["reason"] == reason


def test_succeeds_and_says_why_when_no_retraining_is_due(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Capture
) -> None:
    record_feedback(tmp_path / "feedback", TRAINED[:400], np.full(400, 2.0))
    assert main(arguments) == 0
    assert "no retraining is due:\nno drift: the largest" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()
    client.run_pipeline.assert_not_called()


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(
    ("minutes_ago", "state", "options", "started"),
    [
        (300, "SUCCEEDED", [], False),
        (300, "RUNNING", [], False),
        (300, "FAILED", [], True),
        (400, "SUCCEEDED", [], True),
        (400, "SUCCEEDED", ["--at-most-every", "1d"], False),
        (300, "SUCCEEDED", ["--at-most-every", "4h"], True),
    ],
)
def test_starts_no_run_within_the_interval_after_another(
    client: Mock, arguments: list[str], minutes_ago: int, state: str, options: list[str], started: bool
) -> None:
    client.list_runs.return_value = runs(minutes_ago, state)
    assert main([*arguments, *options]) == 0
    assert client.run_pipeline.called is started


@pytest.mark.usefixtures("drifted")
def test_writes_no_data_while_another_run_may_read_it(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Capture
) -> None:
    client.list_runs.return_value = runs(1, "RUNNING")
    assert main(arguments) == 0
    assert "too soon, none started: run r0" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("drifted")
def test_starts_no_run_when_another_was_started_meanwhile(client: Mock, arguments: list[str]) -> None:
    client.list_runs.side_effect = [Record(runs=None), runs(0, "PENDING")]
    assert main(arguments) == 0
    client.run_pipeline.assert_not_called()


@pytest.mark.usefixtures("drifted")
def test_a_retry_after_a_failed_start_uses_the_same_data(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Capture
) -> None:
    client.run_pipeline.side_effect = [OSError("away"), Record(run_id="r1")]
    assert main(arguments) == 1
    assert "error: Kubeflow Pipelines at http://kfp.example: OSError: away" in capsys.readouterr().err
    before = digests(tmp_path / "data")
    assert main(arguments) == 0
    assert digests(tmp_path / "data") == before


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_exit_status_is_that_of_the_run_when_waiting(
    client: Mock, arguments: list[str], state: str, status: int
) -> None:
    client.get_run.return_value = Record(state=state, run_details=None, error=None)
    assert main([*arguments, "--wait"]) == status


@pytest.mark.usefixtures("drifted")
def test_parameters_override_what_was_derived(client: Mock, arguments: list[str]) -> None:
    assert main([*arguments, "--param", "source=s3://all/*.parquet", "--param", "model_name=other"]) == 0
    run = client.run_pipeline.call_args.kwargs["params"]
    assert (run["source"], run["model_name"]) == ("s3://all/*.parquet", "other")


def test_asks_for_a_first_run_without_a_champion(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Capture
) -> None:
    assert main([*arguments, "--registry-root", str(tmp_path)]) == 1
    assert f"no champion yet in {tmp_path}: submit a first run" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()


def test_prints_one_line_when_kubeflow_pipelines_is_unreachable(
    arguments: list[str], capsys: Capture
) -> None:
    assert main([*arguments, "--host", UNREACHABLE]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Kubeflow Pipelines at {UNREACHABLE}: MaxRetryError: ")
    assert "refused" in line


@pytest.mark.usefixtures("client")
def test_prints_one_line_when_the_registry_is_unreachable(
    arguments: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    about = ["--registry-root", "memory://models", "--tracking-uri", UNREACHABLE]
    assert main([*arguments, *about]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: judging the recorded predictions: MlflowException: ")


def test_prints_one_line_when_the_store_is_unreachable(
    client: Mock, arguments: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class UnavailableError(Exception):
        """An error of a store's client, which is no OSError."""

    monkeypatch.setattr(
        "components.operations.monitor.feedback.predictions", Mock(side_effect=UnavailableError("no\nanswer"))
    )
    assert main(arguments) == 1
    assert capsys.readouterr().err == "error: judging the recorded predictions: UnavailableError: no answer\n"
    client.run_pipeline.assert_not_called()


@pytest.mark.usefixtures("client", "drifted")
def test_an_internal_error_keeps_its_traceback(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.operations.monitor.feedback.collect", Mock(side_effect=KeyError("rows")))
    with pytest.raises(KeyError, match="rows"):
        main(arguments)


@pytest.fixture
def refusing_server() -> Iterator[tuple[str, list[str | None]]]:
    """A server that refuses every request; its address, and each request's authorization."""
    seen: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.parametrize(
    ("variable", "sent"), [("KFP_TOKEN", "Bearer KFP"), (KF_PIPELINES_SA_TOKEN_ENV, "Bearer projected")]
)
def test_sends_a_token_from_the_environment_or_a_file(
    refusing_server: tuple[str, list[str | None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: list[str],
    variable: str,
    sent: str,
) -> None:
    host, seen = refusing_server
    (tmp_path / "token").write_text("projected\n")
    monkeypatch.setenv(variable, "KFP" if variable == "KFP_TOKEN" else str(tmp_path / "token"))
    assert main([*arguments, "--host", host, "--namespace", "team"]) == 1
    assert set(seen) == {sent}
    assert f"Kubeflow Pipelines at {host}: 401: " in capsys.readouterr().err
