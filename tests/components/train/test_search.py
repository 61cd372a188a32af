import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.train.kind import TrainingData
from components.train.kinds import parameters
from components.train.kinds.linear import PARAMETERS
from components.train.regression import SimpleLinearRegression
from components.train.search import Candidate, Search, SearchError, Trial, best
from predictor.model.base import Distribution
from predictor.model.inputs import Column, Input

Rows = NDArray[np.float64]
NAMES = ("noise", "signal")
GIVEN = Candidate(NAMES, parameters("linear", {"iterations": 1000}))


def data_of(X: Rows, y: Rows) -> TrainingData:
    inputs = tuple(Input(name, -9.0, 9.0) for name in NAMES)
    spread = {name: Distribution.of(column) for name, column in zip(NAMES, X.T, strict=True)}
    return TrainingData(inputs, Column("y", -9.0, 9.0), X, y, len(y), None, spread)


@pytest.fixture(name="X")
def random_rows() -> Rows:
    return np.random.RandomState(0).normal(size=(100, 2))


def test_tries_every_combination_and_keeps_the_other_parameters() -> None:
    search = Search({"lr": [0.1, 0.2], "features": [["signal"], ["noise", "signal"]]})
    assert [(one.features, one.parameters["lr"]) for one in search.candidates(GIVEN)] == [
        (("signal",), 0.1),
        (("noise", "signal"), 0.1),
        (("signal",), 0.2),
        (("noise", "signal"), 0.2),
    ]
    assert all(one.parameters["iterations"] == 1000 for one in search.candidates(GIVEN))
    assert Search().candidates(GIVEN) == [GIVEN]


def test_finds_the_feature_that_explains_the_target(X: Rows) -> None:
    y = 3 * X[:, 1] + np.random.RandomState(1).normal(size=100)
    trials = Search({"features": [["noise"], ["signal"]]}).run(data_of(X, y), "linear", GIVEN)
    assert best(trials).features == ("signal",)
    assert trials[0].mse > 5 > trials[1].mse


def test_measures_the_error_on_validation_rows(X: Rows) -> None:
    search = Search(validation_share=0.3, seed=5)
    y = np.random.RandomState(1).normal(size=100)
    (trial,) = search.run(data_of(X, y), "linear", GIVEN)
    aside = search._kept_aside(100)
    assert aside.sum() == 30
    estimator = SimpleLinearRegression(**GIVEN.parameters).fit(X[~aside], y[~aside])
    assert trial.mse == pytest.approx(np.mean((estimator.predict(X[aside]) - y[aside]) ** 2))
    y[~aside], y[aside] = X[~aside, 0], 100.0
    (trial,) = search.run(data_of(X, y), "linear", GIVEN)
    assert trial.mse > 1000


def test_reports_a_diverging_candidate_and_does_not_choose_it(X: Rows) -> None:
    trials = Search({"lr": [50.0, 0.1]}).run(data_of(X, X[:, 1]), "linear", GIVEN)
    assert "diverges" in trials[0].failure
    assert math.isnan(trials[0].mse)
    assert best(trials).parameters["lr"] == 0.1


def test_names_the_reasons_when_all_candidates_fail(X: Rows) -> None:
    trials = Search({"lr": [50.0, 60.0, -1.0]}).run(data_of(X, X[:, 1]), "linear", GIVEN)
    with pytest.raises(
        SearchError, match=r"none of 3 candidates could be fitted: .*lr=50.*; .*'lr' parameter"
    ):
        best(trials)


def test_chooses_the_first_of_equal_candidates_and_never_one_without_a_finite_error() -> None:
    first, second = Candidate(("a",), {}), Candidate(("b",), {})
    assert best([Trial(second), Trial(first, 1.0), Trial(second, 1.0), Trial(second, math.inf)]) is first


def test_reads_a_search_from_json_with_whole_numbers_as_floats() -> None:
    document = {"iterations": [100.0, 200], "lr": [1.0], "penalty": [None, "l2"], "features": [["a"]]}
    search = Search.of({**document, "seed": 3.0, "validation_share": 0.25}, PARAMETERS)
    assert search == Search(document, validation_share=0.25, seed=3)
    assert [type(value) for value in search.grid["iterations"]] == [int, int]
    assert [type(value) for value in search.grid["lr"]] == [float]
    assert type(search.seed) is int


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"learning": [1]},
            "unknown parameter 'learning' in search; there are .*lr.*features, validation_share, seed",
        ),
        ({"lr": 0.1}, "lr of a search must be a list of values, not 0.1"),
        ({"lr": []}, r"lr of a search must be a list of values, not \[\]"),
        ({"penalty": "l2"}, "penalty of a search must be a list of values, not 'l2'"),
        ({"features": ["bmi"]}, "features of a search must be lists of different names, not 'bmi'"),
        ({"features": [[]]}, r"features of a search must be lists of different names, not \[\]"),
        ({"features": [["a", "a"]]}, "features of a search must be lists of different names"),
        ({"features": [5]}, "features of a search must be lists of different names, not 5"),
        ({"features": [[["a"]]]}, "features of a search must be lists of different names"),
        ({"seed": -1}, r"seed of a search must be a whole number from 0 to below 2\*\*32, not -1"),
        ({"seed": "a"}, "seed of a search must be a whole number"),
        ({"validation_share": "a"}, "validation_share must be between 0 and 1, not 'a'"),
        ({"validation_share": 1}, "validation_share must be between 0 and 1, not 1"),
        ({"validation_share": 0.0}, "validation_share must be between 0 and 1, not 0"),
    ],
)
def test_refuses_an_invalid_search(document: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        Search.of(document, PARAMETERS)


def test_refuses_a_feature_that_the_dataset_lacks(X: Rows) -> None:
    with pytest.raises(SearchError, match="the dataset has no feature 'height', only noise, signal"):
        Search({"features": [["signal"], ["height"]]}).run(data_of(X, X[:, 1]), "linear", GIVEN)


@pytest.mark.parametrize(("rows", "share"), [(5, 0.2), (5, 0.8), (100, 0.01)])
def test_refuses_to_split_too_few_rows(rows: int, share: float) -> None:
    X = np.arange(2.0 * rows).reshape(rows, 2)
    with pytest.raises(SearchError, match=f"{share} of {rows} rows leaves too few"):
        Search(validation_share=share).run(data_of(X, X[:, 1]), "linear", GIVEN)
