"""Runs of MLflow for runs of the pipeline."""

from pathlib import Path
from unittest.mock import Mock, create_autospec

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from components.registry import tracking
from components.registry.registry import Registry


def test_a_run_that_is_begun_again_is_the_same(registry: Registry) -> None:
    first = registry.begin_run("run-1", "name")
    assert registry.begin_run("run-1", "name") == first != registry.begin_run("run-2", "name")


def test_writing_other_parameters_again_is_no_error(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked = registry.begin_run("run-1", "name")
    for value in ("a", "b"):
        registry.end_run(tracked, {"source": value}, {"mse": 1.0, "r2": float("nan")}, {}, [])
    assert "MLflow did not take parameters and metrics: MlflowException" in capsys.readouterr().err


def test_a_refusal_leaves_the_run_out(capsys: pytest.CaptureFixture[str]) -> None:
    client: Mock = create_autospec(MlflowClient, instance=True)
    client.get_experiment_by_name.side_effect = MlflowException("not allowed")
    assert tracking.begin(client, "m", None, "run-1", "name") == ""
    assert "MLflow did not take the run: MlflowException: not allowed" in capsys.readouterr().err


def test_a_store_that_is_away_leaves_the_reports_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    client: Mock = create_autospec(MlflowClient, instance=True)
    client.log_artifact.side_effect = OSError("no answer")
    tracking.end(client, "r", {}, {}, {}, [tmp_path / "report.html"])
    assert "MLflow did not take the reports: OSError: no answer" in capsys.readouterr().err
    client.set_terminated.assert_called_once_with("r")
