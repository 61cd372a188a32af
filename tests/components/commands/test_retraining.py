"""A retraining when it is due, by one command."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace as Record
from unittest.mock import Mock

import numpy as np
import pytest
from kfp.client import KF_PIPELINES_SA_TOKEN_ENV

from pipeline import main
from tests.components.commands.conftest import TRAINED, keep

NOWHERE = "http://127.0.0.1:1"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def arguments(tmp_path: Path, root: Path) -> list[str]:
    """The command, for a champion in a registry, what its predictor kept, and a folder of data."""
    about = [
        "--feedback",
        str(tmp_path / "kept"),
        "--registry-root",
        str(root),
        "--to",
        str(tmp_path / "data"),
    ]
    return ["retrain", "--host", "http://kfp.example", *about]


@pytest.fixture
def drifted(tmp_path: Path) -> None:
    """Four hundred rows far from what the champion was trained on."""
    keep(tmp_path / "kept", TRAINED[:400] + 2.0, np.full(400, 2.0))


def run_of(minutes_ago: float, state: str = "SUCCEEDED") -> Record:
    created = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return Record(runs=[Record(run_id="r0", state=state, created_at=created)])


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.usefixtures("drifted")
def test_what_is_due_is_collected_and_started_for_its_reason(
    client: Mock, arguments: list[str], tmp_path: Path, root: Path, capsys: Output
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
        "test_share": 0.2,
    }
    assert "a retraining is due:\ndrift: " in said
    assert ".parquet: 400 rows\nrun r1 started\n" in said
    client.get_run.assert_not_called()


@pytest.mark.usefixtures("drifted")
def test_the_reason_is_what_due_says(client: Mock, arguments: list[str], capsys: Output) -> None:
    assert main(["due", *arguments[3:7]]) == 0
    reason = capsys.readouterr().out.strip()
    assert main(arguments) == 0
    assert client.run_pipeline.call_args.kwargs["params"]["reason"] == reason


def test_where_nothing_is_due_it_says_why_and_that_is_no_failure(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Output
) -> None:
    keep(tmp_path / "kept", TRAINED[:400], np.full(400, 2.0))
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
def test_another_run_of_the_last_six_hours_puts_it_off(
    client: Mock, arguments: list[str], minutes_ago: int, state: str, options: list[str], started: bool
) -> None:
    client.list_runs.return_value = run_of(minutes_ago, state)
    assert main([*arguments, *options]) == 0
    assert client.run_pipeline.called is started


@pytest.mark.usefixtures("drifted")
def test_what_a_run_may_be_reading_is_left_as_it_is(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Output
) -> None:
    client.list_runs.return_value = run_of(1, "RUNNING")
    assert main(arguments) == 0
    assert "too soon, none started: run r0" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("drifted")
def test_a_run_that_another_started_meanwhile_is_the_only_one(client: Mock, arguments: list[str]) -> None:
    client.list_runs.side_effect = [Record(runs=None), run_of(0, "PENDING")]
    assert main(arguments) == 0
    client.run_pipeline.assert_not_called()


@pytest.mark.usefixtures("drifted")
def test_one_that_ended_before_it_started_a_run_goes_on_from_the_same_data(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Output
) -> None:
    client.run_pipeline.side_effect = [OSError("away"), Record(run_id="r1")]
    assert main(arguments) == 1
    assert "error: Kubeflow Pipelines at http://kfp.example: OSError: away" in capsys.readouterr().err
    before = digests(tmp_path / "data")
    assert main(arguments) == 0
    assert digests(tmp_path / "data") == before


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(("state", "status"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_it_ends_as_the_run_does_where_it_is_to_wait(
    client: Mock, arguments: list[str], state: str, status: int
) -> None:
    client.get_run.return_value = Record(state=state, run_details=None, error=None)
    assert main([*arguments, "--wait"]) == status


@pytest.mark.usefixtures("drifted")
def test_a_parameter_wins_over_what_was_judged(client: Mock, arguments: list[str]) -> None:
    assert (
        main([*arguments, "--param", "source=s3://all/*.parquet", "--param", "tracking_uri=http://in"]) == 0
    )
    run = client.run_pipeline.call_args.kwargs["params"]
    assert (run["source"], run["tracking_uri"]) == ("s3://all/*.parquet", "http://in")


def test_without_a_champion_a_first_run_is_asked_for(
    client: Mock, arguments: list[str], tmp_path: Path, capsys: Output
) -> None:
    assert main([*arguments, "--registry-root", str(tmp_path)]) == 1
    assert f"no champion yet in {tmp_path}: submit a first run" in capsys.readouterr().err
    client.run_pipeline.assert_not_called()


def test_kubeflow_pipelines_out_of_reach_is_a_failure_in_one_line(
    arguments: list[str], capsys: Output
) -> None:
    assert main([*arguments, "--host", NOWHERE]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: Kubeflow Pipelines at {NOWHERE}: MaxRetryError: ")
    assert "refused" in line


@pytest.mark.usefixtures("client")
def test_a_registry_out_of_reach_is_a_failure_in_one_line(
    arguments: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    about = ["--registry-root", "memory://models", "--tracking-uri", NOWHERE]
    assert main([*arguments, *about]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: judging what was kept: MlflowException: ")


def test_a_store_out_of_reach_is_a_failure_in_one_line(
    client: Mock, arguments: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AwayError(Exception):
        """As the clients of stores have them, which are no OSError."""

    monkeypatch.setattr("components.monitor.feedback.predictions", Mock(side_effect=AwayError("no\nanswer")))
    assert main(arguments) == 1
    assert capsys.readouterr().err == "error: judging what was kept: AwayError: no answer\n"
    client.run_pipeline.assert_not_called()


@pytest.mark.usefixtures("client", "drifted")
def test_a_fault_of_ones_own_keeps_its_traceback(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.monitor.feedback.collect", Mock(side_effect=KeyError("rows")))
    with pytest.raises(KeyError, match="rows"):
        main(arguments)


@pytest.fixture
def shown() -> Iterator[tuple[str, list[str | None]]]:
    """A server that refuses everything; its address, and what stood in each request's authorization."""
    seen: list[str | None] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.parametrize(
    ("variable", "sent"), [("KFP_TOKEN", "Bearer KFP"), (KF_PIPELINES_SA_TOKEN_ENV, "Bearer projected")]
)
def test_kubeflow_pipelines_is_shown_a_token_from_the_environment_or_a_file(
    shown: tuple[str, list[str | None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
    arguments: list[str],
    variable: str,
    sent: str,
) -> None:
    host, seen = shown
    (tmp_path / "token").write_text("projected\n")
    monkeypatch.setenv(variable, "KFP" if variable == "KFP_TOKEN" else str(tmp_path / "token"))
    assert main([*arguments, "--host", host, "--namespace", "team"]) == 1
    assert set(seen) == {sent}
    assert f"Kubeflow Pipelines at {host}: 401: " in capsys.readouterr().err
