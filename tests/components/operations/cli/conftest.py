"""A mocked Kubeflow Pipelines, and a registry with a champion."""

import time
from pathlib import Path
from types import SimpleNamespace as Record
from unittest.mock import Mock, create_autospec

import kfp
import numpy as np
import pytest
from numpy.typing import NDArray

from components.operations.cli import cluster
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder
from predictor.feedback.store import open_store
from predictor.model.base import Distribution, Reference
from predictor.model.inputs import Column, Input
from tests.support.models import linear_model, numbers
from tests.support.registry import register_models

Numbers = NDArray[np.float64]

TRAINED = np.random.default_rng(0).normal(size=1000)
MODEL = linear_model(
    (2.0,),
    1.0,
    features=[Input("bmi", -3.0, 3.0)],
    target=Column("progression", 0.0, 1.0),
    reference=Reference(1000, {"bmi": Distribution.of(TRAINED)}, Distribution.of(2 * TRAINED + 1)),
)


@pytest.fixture(scope="session")
def mocked() -> tuple[Mock, Mock]:
    """A mocked client of Kubeflow Pipelines, with the signatures of the real one, and its mocked class."""
    client: Mock = create_autospec(kfp.Client, instance=True)
    return client, create_autospec(kfp.Client, return_value=client)


@pytest.fixture
def client(mocked: tuple[Mock, Mock], monkeypatch: pytest.MonkeyPatch) -> Mock:
    """A mocked client of an empty Kubeflow Pipelines, on which nothing was called yet."""
    client, client_class = mocked
    client_class.reset_mock()
    client.reset_mock(return_value=True, side_effect=True)
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
    monkeypatch.setattr("kfp.Client", client_class)
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    return client


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose champion is version 1, with a mean squared error of 4; no test writes to it."""
    root = tmp_path_factory.mktemp("with-champion") / "registry"
    register_models(tmp_path_factory, root, MODEL)
    return root


def record_feedback(folder: Path, bmi: Numbers, errors: Numbers, name: str = "bmi") -> None:
    """Record the champion's predictions of a feature, shape (n,), and truths that differ by the errors.

    The feature may have another name.
    """
    recorder = Recorder(open_store(str(folder)), 2**20, 3600)
    recorder.record_predictions(
        Predicted("many", "", time.time(), numbers(name), "1", bmi[:, None], 2 * bmi + 1)
    )
    stored = recorder.record_ground_truth("", [GroundTruth("many", (2 * bmi + 1 + errors).tolist())])
    assert stored is not None
    stored.result(60)
    recorder.close()
