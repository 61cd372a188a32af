"""SimpleLinearRegression as a scikit-learn estimator."""

import doctest
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import check_estimator

import components.train.regression
from components.data.moments import Moments, merge
from components.train.regression import SimpleLinearRegression


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"penalty": "elasticnet", "alpha": 0.01, "learning_rate": "auto", "iterations": 200},
        {"standardize": False, "learning_rate": "auto"},
        {"learning_rate": "invscaling", "warm_start": True, "iterations": 2000},
        {"tol": 1e-6, "learning_rate": "auto"},
        pytest.param({"penalty": "l2", "learning_rate": "auto"}, marks=pytest.mark.slow),
        pytest.param({"penalty": "l1", "learning_rate": "auto"}, marks=pytest.mark.slow),
        pytest.param(
            {"penalty": "elasticnet", "alpha": 0.01, "learning_rate": "auto"}, marks=pytest.mark.slow
        ),
        pytest.param({"learning_rate": "invscaling", "warm_start": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_passes_scikit_learns_estimator_checks(settings: dict[str, Any]) -> None:
    checks = check_estimator(SimpleLinearRegression(**settings))
    assert len(checks) > 50
    assert {check["status"] for check in checks} == {"passed"}


def test_docstring_examples_run() -> None:
    result = doctest.testmod(components.train.regression)
    assert result.failed == 0
    assert result.attempted > 0


def test_defaults_reach_least_squares_on_the_diabetes_data(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression().fit(X[:-20, [2]], y[:-20])
    assert model.W.tolist() == [[pytest.approx(938.2379, rel=1e-7)]]
    assert model.b == pytest.approx(152.9189, rel=1e-6)
    assert model.W.shape == (1, 1)
    assert model.score(X[-20:, [2]], y[-20:]) == pytest.approx(0.47258, abs=5e-6)


def test_warm_start_continues_from_the_last_fit(diabetes: Any) -> None:
    model = SimpleLinearRegression(100, warm_start=True).fit(*diabetes).fit(*diabetes)
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(200).fit(*diabetes).coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="10 features, this one is of 1"):
        model.fit(diabetes[0][:, :1], diabetes[1])


def test_partial_fit_accepts_rows_in_any_parts_and_order(diabetes: Any) -> None:
    X, y = diabetes
    order = np.random.default_rng(5).permutation(len(y))
    model = SimpleLinearRegression(300)
    for part in np.array_split(order, [1, 3, 50, 51, 300]):
        model.partial_fit(X[part], y[part])
    whole = SimpleLinearRegression(300).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(model.losses), np.asarray(whole.losses), rtol=1e-12)


def test_failed_partial_fit_leaves_the_model_unchanged(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(300).partial_fit(X[:200], y[:200])
    before = model.coef_.copy()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((1, 10), np.nan), [1.0])
    assert np.array_equal(model.coef_, before)
    model.partial_fit(X[200:], y[200:])
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(300).fit(X, y).coef_, rtol=1e-12)


@pytest.mark.parametrize("settings", [
    {}, {"learning_rate": "auto"}, {"penalty": "l2", "alpha": 0.1},
    {"standardize": False, "learning_rate": "auto"},
    {"penalty": "elasticnet", "alpha": 1.0, "learning_rate": "auto"},
])  # fmt: skip
def test_iterations_none_ends_at_the_minimum(diabetes: Any, settings: dict[str, Any]) -> None:
    model = SimpleLinearRegression(None, **settings).fit(*diabetes)
    steps = 50_000 if settings.get("penalty") == "elasticnet" else 10**9
    least = SimpleLinearRegression(steps, **settings)
    assert model.losses[-1] == pytest.approx(least.fit(*diabetes).losses[-1], rel=1e-12)
    assert 0 <= model.gap_ <= 1e-12 * model.losses[-1]


@pytest.mark.parametrize("settings", [{}, {"standardize": False, "lr": 0.3}, {"penalty": "l2", "alpha": 0.1}])
def test_gap_is_how_far_the_loss_is_above_its_minimum(diabetes: Any, settings: dict[str, Any]) -> None:
    model, least = (SimpleLinearRegression(number, **settings).fit(*diabetes) for number in (9, None))
    assert model.gap_ == pytest.approx(model.losses[-1] - least.losses[-1], rel=1e-9)


def test_gap_with_l1_is_an_upper_bound(diabetes: Any) -> None:
    model, least = (
        SimpleLinearRegression(number, penalty="l1", alpha=1.0).fit(*diabetes) for number in (9, None)
    )
    above = model.losses[-1] - least.losses[-1]
    assert above <= model.gap_ <= 10 * above


def test_iterations_none_leaves_out_what_rounding_would_decide() -> None:
    rng = np.random.default_rng(0)
    km = rng.uniform(1, 100, 200)
    X = np.column_stack([km, np.round(km / 1.609344, 5), rng.normal(size=200)])
    y = 3 * km + X[:, 2] + rng.normal(size=200)
    model = SimpleLinearRegression(None).fit(X, y)
    assert np.abs(model.unresolved_[0]) == pytest.approx([0.5**0.5, 0.5**0.5, 0], abs=1e-4)
    assert model.predict(X) == pytest.approx(LinearRegression().fit(X, y).predict(X), abs=1e-4)


@pytest.mark.parametrize("settings", [{"batch_size": 8}, {"learning_rate": "invscaling"}])
def test_iterations_none_needs_full_batches_at_one_rate(diabetes: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need a number of iterations"):
        SimpleLinearRegression(None, **settings).fit(*diabetes)


def test_partial_fit_of_two_rows_at_a_time_gives_the_model_of_all_rows() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 12))
    y = X @ rng.normal(size=12) + rng.normal(size=400)
    model = SimpleLinearRegression(500)
    with pytest.warns(ConvergenceWarning, match="fitted with learning_rate='auto' instead"):
        model.partial_fit(X[:2], y[:2])
    assert model.predict(X[:2]) == pytest.approx(y[:2])
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        for start in range(2, 12, 2):
            model.partial_fit(X[start : start + 2], y[start : start + 2])
    with warnings.catch_warnings(action="error"):
        for start in range(12, 400, 2):
            model.partial_fit(X[start : start + 2], y[start : start + 2])
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(500).fit(X, y).coef_, rtol=1e-11)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 30.0}, "diverges"),
        ({"lr": 30.0, "batch_size": 8}, "diverges"),
        ({"warm_start": True}, "features"),
    ],
)
def test_refused_refit_leaves_the_estimator_as_it_was(
    diabetes: Any, settings: dict[str, Any], message: str
) -> None:
    frame = pd.DataFrame(diabetes[0], columns=[f"x{index}" for index in range(10)])
    model = SimpleLinearRegression(50).fit(frame, diabetes[1])
    before, predicted = dict(vars(model)), model.predict(frame)
    model.set_params(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(frame[["x2", "x3"]], diabetes[1])
    model.set_params(**SimpleLinearRegression(50).get_params())
    assert vars(model) == before
    assert np.array_equal(model.predict(frame), predicted)


def test_fit_moments_of_shards_gives_the_model_of_all_rows(diabetes: Any) -> None:
    X, y = diabetes
    shards = [Moments.of(X[rows], y[rows]) for rows in np.array_split(np.arange(len(y)), 7)]
    names = [f"x{index}" for index in range(10)]
    model = SimpleLinearRegression().fit_moments(merge(shards), feature_names=names)
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression().fit(X, y).coef_, rtol=1e-12)
    assert model.feature_names_in_.tolist() == names
    assert model.predict(pd.DataFrame(X, columns=names)).shape == y.shape
    with pytest.raises(ValueError, match="2 feature names for 10 features"):
        model.fit_moments(merge(shards), feature_names=["a", "b"])
    with pytest.raises(ValueError, match="batch_size must be None"):
        SimpleLinearRegression(batch_size=8).fit_moments(merge(shards))


def test_stays_accurate_for_a_feature_of_mean_1e8_and_deviation_1() -> None:
    rng = np.random.default_rng(6)
    X = 1e8 + np.round(rng.normal(size=(1000, 1)), 6)
    y = 2 * (X[:, 0] - 1e8) + rng.normal(size=1000)
    centred = SimpleLinearRegression(50).fit(X - 1e8, y)
    model = SimpleLinearRegression(50).fit(X, y)
    assert model.coef_[0] == pytest.approx(centred.coef_[0], rel=1e-12)
    parts = SimpleLinearRegression(50)
    for rows in np.array_split(np.arange(1000), 9):
        parts.partial_fit(X[rows], y[rows])
    assert parts.coef_[0] == pytest.approx(centred.coef_[0], rel=1e-12)


@pytest.mark.parametrize(("of_x", "of_y"), [(1e200, 1.0), (1.0, 1e200), (1e-200, 1.0), (1e300, 1e300)])
def test_accepts_finite_values_whose_squares_are_not_finite(of_x: float, of_y: float) -> None:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(50, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=50)
    usual = SimpleLinearRegression(40).fit(X, y)
    model = SimpleLinearRegression(40).fit(X * of_x, y * of_y)
    np.testing.assert_allclose(model.coef_ / of_y * of_x, usual.coef_, rtol=1e-12)
    assert model.intercept_ / of_y == pytest.approx(usual.intercept_, rel=1e-9)


@pytest.mark.parametrize(("where", "value", "message"), [
    ("X", np.nan, "Input X contains NaN"), ("X", np.inf, "Input X contains infinity"),
    ("y", np.nan, "Input y contains NaN"), ("y", -np.inf, "Input y contains infinity"),
])  # fmt: skip
def test_refuses_non_finite_values_with_scikit_learns_messages(
    diabetes: Any, where: str, value: float, message: str
) -> None:
    X, y = (array.copy() for array in diabetes)
    {"X": X, "y": y}[where].flat[17] = value
    with pytest.raises(ValueError, match=message):
        SimpleLinearRegression().fit(X, y)


def test_float32_stays_float32(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression().fit(X.astype(np.float32), y.astype(np.float32))
    assert model.coef_.dtype == model.predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression().fit(X, y).coef_, rtol=1e-3)


def test_works_in_pipelines_cross_validation_and_grid_search() -> None:
    X, y = make_regression(200, 3, noise=5, random_state=0)
    pipeline = make_pipeline(PolynomialFeatures(2), SimpleLinearRegression(learning_rate="auto"))
    assert cross_val_score(pipeline, X, y).min() > 0.9
    grid = GridSearchCV(SimpleLinearRegression(), {"lr": [1e-5, 0.1], "penalty": [None, "l2"]}).fit(X, y)
    assert grid.best_params_["lr"] == 0.1


def test_can_be_printed_cloned_and_pickled(diabetes: Any) -> None:
    model = SimpleLinearRegression(50, penalty="l2").fit(*diabetes)
    assert repr(model) == "SimpleLinearRegression(iterations=50, penalty='l2')"
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(diabetes[0]), model.predict(diabetes[0]))
    assert list(again.losses) == list(model.losses)
    with pytest.raises(NotFittedError):
        _ = clone(model).losses


@pytest.mark.parametrize("settings", [
    {"iterations": 0}, {"lr": 0}, {"penalty": "l3"}, {"batch_size": 0}, {"l1_ratio": 2},
    {"learning_rate": "fast"},
])  # fmt: skip
def test_names_a_parameter_out_of_range(diabetes: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"The '{next(iter(settings))}' parameter"):
        SimpleLinearRegression(**settings).fit(*diabetes)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_prints_progress_when_verbose(
    diabetes: Any, capsys: pytest.CaptureFixture[str], batch_size: int | None
) -> None:
    SimpleLinearRegression(20, 0.01, batch_size=batch_size, verbose=1, random_state=0).fit(*diabetes)
    assert "Iteration 20, loss: " in capsys.readouterr().out
