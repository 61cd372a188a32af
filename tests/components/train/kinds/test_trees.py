"""The trees of scikit-learn, as the serving side computes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import Bunch

from components.data.dataset import Dataset
from components.train.kind import TrainingData, TrainingError, model_of
from components.train.kinds import check, parameters, trees
from components.train.report import report
from components.train.search import Search
from components.train.training import train
from predictor.model import artifact
from predictor.model.base import Distribution
from predictor.model.inputs import UNKNOWN, Column, Input
from predictor.model.kinds.trees import MAX_DEPTH, MAX_TREES

MakeDataset = Callable[..., Dataset]

TARGET = Column("target", 0.0, 1.0)


def data_of(inputs: list[Input], X: np.ndarray, y: np.ndarray) -> TrainingData:
    spread = {one.name: Distribution.of_input(one, X[:, i]) for i, one in enumerate(inputs)}
    return TrainingData(tuple(inputs), TARGET, X, y, len(y), None, spread)


@pytest.mark.parametrize("given", [{}, {"max_leaf_nodes": None, "max_depth": 8, "min_samples_leaf": 1}])
def test_predictions_are_those_of_scikit_learn(given: dict[str, object]) -> None:
    bunch: Bunch = load_diabetes(scaled=False)
    X, y = np.asarray(bunch.data), np.asarray(bunch.target)
    inputs = [Input(name, X[:, i].min(), X[:, i].max()) for i, name in enumerate(bunch.feature_names)]
    chosen = parameters("trees", given)
    model = model_of("trees", trees.fit(data_of(inputs, X, y), chosen), data_of(inputs, X, y))
    theirs = HistGradientBoostingRegressor(early_stopping=False, **chosen).fit(X, y)
    random = np.random.default_rng(0)
    elsewhere = X.mean(axis=0) + 3 * X.std(axis=0) * random.normal(size=(1000, X.shape[1]))
    for rows in (X, elsewhere):
        np.testing.assert_allclose(model.rows(rows), theirs.predict(rows), rtol=1e-12)


def test_values_at_a_threshold_go_the_way_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    X = random.choice(np.array([0.1, 0.2, 0.3, 1 / 3, np.nextafter(1 / 3, 1)]), size=(500, 2))
    y = X[:, 0] * X[:, 1] + random.normal(scale=0.01, size=500)
    inputs = [Input("a", 0.1, 0.4), Input("b", 0.1, 0.4)]
    model = model_of(
        "trees", trees.fit(data_of(inputs, X, y), parameters("trees", {})), data_of(inputs, X, y)
    )
    theirs = HistGradientBoostingRegressor(early_stopping=False, **parameters("trees", {})).fit(X, y)
    thresholds = model.parameters()["values"]
    rows = np.array([(a, b) for a in thresholds[:20] for b in thresholds[:20]])
    np.testing.assert_allclose(model.rows(rows), theirs.predict(rows), rtol=1e-12)


def test_categories_are_one_hot_columns() -> None:
    random = np.random.default_rng(2)
    codes, numbers = random.integers(0, 3, 400), random.normal(size=400)
    y = np.array([0.0, 5.0, -5.0])[codes] + numbers
    city = Input("city", 0, 2, type="category", categories=("a", "b", "c"), accepts_unknown=True)
    data = data_of([city, Input("x", -4.0, 4.0)], np.column_stack([codes, numbers]), y)
    model = model_of("trees", trees.fit(data, parameters("trees", {})), data)
    one_hot = np.column_stack([codes == 0, codes == 1, codes == 2, numbers]).astype(np.float64)
    theirs = HistGradientBoostingRegressor(early_stopping=False, **parameters("trees", {})).fit(one_hot, y)
    np.testing.assert_allclose(model.rows(data.X), theirs.predict(one_hot), rtol=1e-12)
    unknown = theirs.predict(np.array([[0.0, 0.0, 0.0, 0.5]]))
    np.testing.assert_allclose(model.rows(np.array([[UNKNOWN, 0.5]])), unknown, rtol=1e-12)


def test_same_data_and_parameters_give_the_same_digest(make_dataset: MakeDataset, tmp_path: Path) -> None:
    dataset = make_dataset()
    digests = [train(dataset, tmp_path / name, kind="trees").digest for name in ("one", "two")]
    assert digests[0] == digests[1]


def test_training_writes_a_folder_that_serves_and_a_report_of_it(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset = make_dataset()
    search = Search({"max_depth": [1, 3]})
    result = train(dataset, tmp_path / "model", kind="trees", max_iter=10, search=search)
    assert artifact.read(tmp_path / "model") == (result.model, result.digest)
    assert (result.lineage()["kind"], result.lineage()["max_iter"]) == ("trees", "10")
    assert result.metrics["trees"] == 10
    document = report(result)
    for text in ("10 regression trees of depth", "Splits and training ranges", "<th>max_depth</th>"):
        assert text in document


def test_says_when_only_a_part_of_the_rows_was_seen() -> None:
    X = np.arange(100.0)[:, np.newaxis]
    data = data_of([Input("x", 0.0, 99.0)], X, X[:, 0])
    part = data.of_rows(np.arange(100) < 60)
    assert trees.fit(part, parameters("trees", {})).warning == ""
    fit = trees.fit(
        TrainingData(data.inputs, TARGET, part.X, part.y, 100, None, data.distributions),
        parameters("trees", {}),
    )
    assert fit.warning == "the trees were fitted to the 60 of 100 training rows that were kept; see kept_rows"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_iter": MAX_TREES + 1}, "max_iter is 10001; the predictor serves at most 10000 trees"),
        ({"max_depth": MAX_DEPTH + 1, "max_leaf_nodes": None}, "max_depth is 33; the predictor serves"),
        ({"max_depth": None, "max_leaf_nodes": MAX_DEPTH + 2}, "max_depth is None; the predictor serves"),
    ],
)
def test_refuses_parameters_of_trees_that_are_not_served(given: dict[str, int | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check("trees", given)


def test_takes_parameters_whose_trees_are_shallow_enough() -> None:
    check("trees", {"max_depth": MAX_DEPTH, "max_leaf_nodes": None, "max_iter": MAX_TREES})
    check("trees", {"max_depth": None, "max_leaf_nodes": MAX_DEPTH + 1})


def test_refuses_trees_that_no_folder_may_hold(make_dataset: MakeDataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="max_iter"):
        train(make_dataset(), tmp_path / "model", kind="trees", max_iter=0)
