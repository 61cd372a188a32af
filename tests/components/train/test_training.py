from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from components.data.dataset import Dataset
from components.ingest.ingestion import ingest
from components.train.report import report
from components.train.search import Search, SearchError
from components.train.training import TrainingError, train
from predictor.model import artifact
from predictor.model.base import Distribution
from predictor.model.inputs import Input
from tests.support.models import weights_of

MakeDataset = Callable[..., Dataset]


def test_defaults_reach_least_squares_on_the_diabetes_data(tmp_path: Path) -> None:
    result = train(ingest("sklearn://diabetes", tmp_path / "dataset"), tmp_path / "model")
    assert weights_of(result.model) == pytest.approx([938.2379], abs=1e-4)
    assert result.model.intercept == pytest.approx(152.9189, abs=1e-4)


def test_writes_the_returned_model_to_the_folder(make_dataset: MakeDataset, tmp_path: Path) -> None:
    result = train(make_dataset(), tmp_path / "model")
    assert artifact.read(tmp_path / "model") == (result.model, result.digest)


def test_model_describes_its_training_data(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    model = train(dataset, tmp_path / "model").model
    X, _ = dataset.train()
    assert model.inputs == tuple(Input(**asdict(feature)) for feature in dataset.features)
    assert model.target == dataset.target
    assert model.reference.rows == 50
    assert model.reference.features == dataset.distributions
    assert model.reference.prediction == Distribution.of(model.predict(X))


def test_same_data_and_parameters_give_the_same_digest(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    digests = [train(dataset, tmp_path / name, batch_size=8, iterations=5).digest for name in ("one", "two")]
    assert digests[0] == digests[1]


def test_metrics_hold_rows_losses_time_and_memory(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    result = train(dataset, tmp_path / "model", iterations=500)
    X, y = dataset.train()
    metrics = result.metrics
    assert (metrics["rows"], metrics["iterations"]) == (50, 500)
    assert metrics["initial_loss"] == pytest.approx(np.mean(y**2))
    assert metrics["final_loss"] == pytest.approx(np.mean((result.model.predict(X) - y) ** 2))
    assert metrics["training_seconds"] > 0
    assert 10 < metrics["peak_memory_mib"] < 100_000


def test_lineage_names_data_model_and_parameters(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    result = train(dataset, tmp_path / "model", lr=0.05)
    lineage = result.lineage()
    assert lineage["digest"] == result.digest
    assert lineage["dataset_fingerprint"] == dataset.fingerprint
    assert lineage["features"] == "other, signal"
    assert (lineage["lr"], lineage["iterations"], lineage["random_state"]) == ("0.05", "15000", "0")
    assert all(isinstance(value, str) for value in lineage.values())


@pytest.mark.parametrize("iterations", [1, 2, 3, 10_000_000])
def test_loss_curve_samples_at_most_200_steps(
    make_dataset: MakeDataset, tmp_path: Path, iterations: int
) -> None:
    result = train(make_dataset(), tmp_path / "model", iterations=iterations)
    assert result.steps[0] == 1
    assert result.steps[-1] == iterations
    assert result.steps.size == result.losses.size <= 200
    assert (np.diff(result.steps) > 0).all()
    assert result.losses[-1] == result.metrics["final_loss"]


def test_search_refits_the_best_candidate_on_all_training_rows(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = make_dataset()
    search = Search({"features": [["other"], ["signal"]], "lr": [0.1, 50.0]})
    result = train(dataset, tmp_path / "model", search=search)
    X, y = dataset.train(["signal"])
    exact = LinearRegression().fit(X, y)
    assert weights_of(result.model) == pytest.approx(exact.coef_)
    assert result.model.intercept == pytest.approx(exact.intercept_)
    assert [feature.name for feature in result.model.inputs] == ["signal"]
    assert list(result.model.reference.features) == ["signal"]
    assert len(result.trials) == 4
    assert result.metrics["search_seconds"] > 0


def test_search_may_reorder_the_features(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    result = train(dataset, tmp_path / "model", search=Search({"features": [["signal", "other"]]}))
    assert [feature.unit for feature in result.model.inputs] == ["V", None]
    X, y = dataset.test(["signal", "other"])
    assert np.corrcoef(result.model.predict(X), y)[0, 1] > 0.95


def test_diverging_training_fails_and_writes_nothing(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    with pytest.raises(TrainingError, match="diverges at the learning rate lr=50"):
        train(dataset, tmp_path / "model", lr=50)
    with pytest.raises(SearchError, match="none of 1 candidates"):
        train(dataset, tmp_path / "model", search=Search({"lr": [50]}))
    assert not (tmp_path / "model").exists()


def test_refuses_an_unknown_parameter(make_dataset: MakeDataset, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        train(make_dataset(), tmp_path / "model", rate=1)


def test_never_overwrites_a_model(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    train(dataset, tmp_path / "model")
    with pytest.raises(FileExistsError, match="never overwritten"):
        train(dataset, tmp_path / "model")


def test_report_shows_loss_curve_weights_and_search(make_dataset: MakeDataset, tmp_path: Path) -> None:
    search = Search({"lr": [0.1, 50.0], "features": [["signal"]]})
    result = train(make_dataset(), tmp_path / "model", search=search)
    document = report(result)
    start, end = document.index("<svg"), document.index("</svg>") + len("</svg>")
    assert ET.fromstring(document[start:end]).find("{http://www.w3.org/2000/svg}polyline") is not None
    for text in (result.digest, "<td>signal</td>", "<th>lr</th>", "diverges", "<td>chosen</td>"):
        assert text in document
    assert "<th>alpha</th>" not in document


def test_reports_a_perfect_fit(make_dataset: MakeDataset, tmp_path: Path) -> None:
    result = train(make_dataset(noise=0.0), tmp_path / "model")
    assert result.metrics["final_loss"] < 1e-9
    assert "Loss by step" in report(result)
