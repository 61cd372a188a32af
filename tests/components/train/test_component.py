from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.data.dataset import Dataset
from components.data.description import DatasetError
from components.train.component import train
from predictor.model import artifact


@pytest.fixture
def artifacts(make_dataset: Callable[..., Dataset], tmp_path: Path) -> dict[str, Any]:
    return {
        "shards": [dsl.Dataset(name="dataset", uri=str(make_dataset().folder))],
        "dataset": dsl.Dataset(name="dataset", uri=str(tmp_path / "whole")),
        "model": dsl.Model(name="model", uri=str(tmp_path / "model")),
        "metrics": dsl.Metrics(name="metrics", uri=str(tmp_path / "metrics")),
        "report": dsl.HTML(name="report", uri=str(tmp_path / "report")),
    }


def test_writes_model_metrics_and_report(
    artifacts: dict[str, Any],
) -> None:
    train.python_func(**artifacts)
    _, digest = artifact.read(artifacts["model"].path)
    assert artifacts["model"].metadata["digest"] == digest
    assert {"final_loss", "training_seconds", "peak_memory_mib"} <= set(artifacts["metrics"].metadata)
    assert digest in Path(artifacts["report"].path).read_text()


def test_passes_every_parameter_to_the_estimator(artifacts: dict[str, Any]) -> None:
    parameters = {
        "iterations": 70,
        "lr": 0.02,
        "learning_rate": "invscaling",
        "penalty": "elasticnet",
        "alpha": 0.003,
        "l1_ratio": 0.4,
    }
    train.python_func(**artifacts, **parameters)
    metadata = artifacts["model"].metadata
    assert {name: metadata[name] for name in parameters} == {
        name: str(value) for name, value in parameters.items()
    }


def test_runs_a_search_as_kfp_passes_it(artifacts: dict[str, Any]) -> None:
    train.python_func(**artifacts, search={"features": [["signal"]], "iterations": [500.0], "seed": 1.0})
    model, _ = artifact.read(artifacts["model"].path)
    assert [feature.name for feature in model.inputs] == ["signal"]
    assert artifacts["model"].metadata["iterations"] == "500"
    assert "search_seconds" in artifacts["metrics"].metadata


def test_refuses_a_modified_dataset(artifacts: dict[str, Any]) -> None:
    Path(artifacts["shards"][0].path, "train.parquet").write_bytes(b"other")
    with pytest.raises(DatasetError, match=r"train\.parquet was changed"):
        train.python_func(**artifacts)
    assert not Path(artifacts["model"].path).exists()
