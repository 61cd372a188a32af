"""Kubeflow Pipelines and a registry with a champion, as the commands find them."""

import time
from pathlib import Path
from types import SimpleNamespace as Record
from unittest.mock import Mock, create_autospec

import kfp
import numpy as np
import pytest
from numpy.typing import NDArray

from components.commands import cluster
from components.register.gate import Decision
from components.register.registry import open_registry
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder
from predictor.feedback.store import open_store
from predictor.model import artifact
from predictor.model.artifact import Column, Distribution, LinearModel, Reference

Numbers = NDArray[np.float64]

TRAINED = np.random.default_rng(0).normal(size=1000)
MODEL = LinearModel(
    weights=(2.0,),
    intercept=1.0,
    features=(Column("bmi", -3.0, 3.0),),
    target=Column("progression", 0.0, 1.0),
    reference=Reference(1000, {"bmi": Distribution.of(TRAINED)}, Distribution.of(2 * TRAINED + 1)),
)


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
    client.get_run.return_value = Record(state="SUCCEEDED", run_details=None, error=None)
    client.list_recurring_runs.return_value = Record(recurring_runs=None)
    client.create_recurring_run.return_value = Record(recurring_run_id="s1")
    client.list_runs.return_value = Record(runs=None)
    monkeypatch.setattr("kfp.Client", create_autospec(kfp.Client, return_value=client))
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    return client


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose champion is version 1, with a mean squared error of 4."""
    place = tmp_path_factory.mktemp("registry")
    artifact.write(MODEL, place / "model")
    passed = Decision(promote=True, reasons=("the first",))
    open_registry(place).register(place / "model", "run-1", {"metric.mse": "4.0"}, lambda _: passed)
    return place


def keep(folder: Path, bmi: Numbers, errors: Numbers) -> None:
    """Keep what the champion predicts of the feature, shape (n,), and what came true: that and the errors."""
    recorder = Recorder(open_store(str(folder)), 2**20, 3600)
    recorder.predicted(Predicted("many", time.time(), ("bmi",), "1", bmi[:, None], 2 * bmi + 1))
    stored = recorder.record_ground_truth([GroundTruth("many", (2 * bmi + 1 + errors).tolist())])
    assert stored is not None
    stored.result(60)
    recorder.close()
