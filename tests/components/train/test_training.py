from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from components.data import dataset as datasets
from components.data.dataset import Dataset
from components.ingest.ingestion import ingest
from components.train.defaults import DESCENT
from components.train.kind import TrainingError
from components.train.kinds.linear import of_pipeline
from components.train.report import report
from components.train.search import Search, SearchError
from components.train.training import train
from predictor.model import artifact
from predictor.model.base import Distribution
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
    assert model.inputs == dataset.inputs
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


LONGLEY = """
83.0 234289 2356 1590 107608 1947 60323
88.5 259426 2325 1456 108632 1948 61122
88.2 258054 3682 1616 109773 1949 60171
89.5 284599 3351 1650 110929 1950 61187
96.2 328975 2099 3099 112075 1951 63221
98.1 346999 1932 3594 113270 1952 63639
99.0 365385 1870 3547 115094 1953 64989
100.0 363112 3578 3350 116219 1954 63761
101.2 397469 2904 3048 117388 1955 66019
104.6 419180 2822 2857 118734 1956 67857
108.4 442769 2936 2798 120445 1957 68169
110.8 444546 4681 2637 121950 1958 66513
112.6 482704 3813 2552 123366 1959 68655
114.2 502601 3931 2514 125368 1960 69564
115.7 518173 4806 2572 127852 1961 69331
116.9 554894 4007 2827 130081 1962 70551
"""


@pytest.fixture
def longley(tmp_path: Path) -> Dataset:
    """Longley's data of 1967 (in NIST's StRD), a hard one: its features nearly depend on each other."""
    rows = np.array([[float(value) for value in line.split()] for line in LONGLEY.split("\n") if line])
    columns = {name: rows[:, place] for place, name in enumerate(["x1", "x2", "x3", "x4", "x5", "x6", "y"])}
    return datasets.write(tmp_path / "dataset", columns, columns, source="NIST", settings={})


def test_pipeline_defaults_reach_the_certified_weights_of_longleys_data(
    longley: Dataset, tmp_path: Path
) -> None:
    result = train(longley, tmp_path / "model", **of_pipeline(DESCENT))
    certified = [15.0618722713733, -0.0358191792925910, -2.02022980381683]
    certified += [-1.03322686717359, -0.0511041056535807, 1829.15146461355]
    assert weights_of(result.model) == pytest.approx(certified, rel=1e-8)
    assert result.model.intercept == pytest.approx(-3482258.63459582, rel=1e-8)
    assert result.fit.warning == ""


def test_warns_when_descent_stops_short_of_the_minimum(longley: Dataset, tmp_path: Path) -> None:
    result = train(longley, tmp_path / "model")
    X, y = longley.train()
    least = np.mean((LinearRegression(tol=0).fit(X, y).predict(X) - y) ** 2)
    assert result.metrics["final_loss"] - result.metrics["loss_above_minimum"] == pytest.approx(least)
    assert result.fit.warning.startswith(
        "descent stopped short of the minimum: the loss over the training rows is"
    )
    assert f"Warning: {result.fit.warning}" in report(result)


def test_report_names_features_whose_weights_the_data_do_not_determine(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    km, age = random.uniform(1, 100, 60), random.uniform(0, 9, 60)
    columns = {"km": km, "miles": np.round(km / 1.609344, 6), "age": age, "y": 3 * km + age}
    dataset = datasets.write(tmp_path / "dataset", columns, columns, source="here", settings={})
    result = train(dataset, tmp_path / "model", **of_pipeline(DESCENT))
    assert "do not determine each weight of km, miles:" in report(result)
    X, y = dataset.train()
    assert result.model.predict(X) == pytest.approx(y, abs=1e-4)


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
    assert result.fit.curve
    steps, losses = result.fit.curve
    assert steps[0] == 1
    assert steps[-1] == iterations
    assert steps.size == losses.size <= 200
    assert (np.diff(steps) > 0).all()
    assert losses[-1] == result.metrics["final_loss"]


def test_search_refits_the_best_candidate_on_all_training_rows(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = make_dataset()
    search = Search({"features": [["other"], ["signal"]], "lr": [0.1, 50.0]})
    result = train(dataset, tmp_path / "model", search=search)
    X, y = dataset.train()
    exact = LinearRegression().fit(X[:, [one.name == "signal" for one in dataset.inputs]], y)
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
    X, y = dataset.test(result.model.inputs)
    assert np.corrcoef(result.model.predict(X), y)[0, 1] > 0.95


def test_diverging_training_fails_and_writes_nothing(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    with pytest.raises(TrainingError, match="diverges at the learning rate lr=50"):
        train(dataset, tmp_path / "model", lr=50)
    with pytest.raises(SearchError, match="none of 1 candidates"):
        train(dataset, tmp_path / "model", search=Search({"lr": [50]}))
    assert not (tmp_path / "model").exists()


def test_refuses_an_unknown_parameter(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    with pytest.raises(TrainingError, match="linear has no parameter 'rate', only "):
        train(dataset, tmp_path / "model", rate=1)
    with pytest.raises(TrainingError, match="unknown kind of model 'forest'; there are linear, trees"):
        train(dataset, tmp_path / "model", kind="forest")


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
