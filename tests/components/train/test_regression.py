import doctest
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

import components.train.regression
from components.train.moments import Moments, merge
from components.train.regression import SimpleLinearRegression


def plain_loop(
    X: Any,
    y: Any,
    iterations: Any,
    lr: Any = 0.1,
    *,
    standardize: Any = True,
    l2: Any = 0.0,
    l1: Any = 0.0,
    power: Any = 0.0,
    weight: Any = None,
) -> Any:
    """Gradient descent step by step in the longest floats; returns weights, intercept and losses."""
    X, y = X.astype(np.longdouble), y.astype(np.longdouble)
    share = np.ones(len(y)) if weight is None else weight
    share = share / share.sum()
    centre = share @ X if standardize else np.zeros(X.shape[1])
    scale = np.sqrt(share @ (X - centre) ** 2) if standardize else np.ones(X.shape[1])
    scale = np.where(np.ptp(X, axis=0) > 0, scale, 1)
    Z = (X - centre) / scale
    w, b = np.zeros(X.shape[1], dtype=np.longdouble), np.longdouble(0)
    losses = [share @ y**2]
    for step in range(1, iterations + 1):
        rate = lr / np.longdouble(step) ** power
        residual = y - Z @ w - b
        w, b = w + rate * 2 * (Z.T @ (share * residual) - l2 * w), b + rate * 2 * (share @ residual)
        w = np.sign(w) * np.maximum(np.abs(w) - rate * l1, 0)
        losses.append(share @ (y - Z @ w - b) ** 2 + l2 * w @ w + l1 * np.abs(w).sum())
    w = w / scale
    return w.astype(float), float(b - w @ centre), np.array(losses, dtype=float)


def assert_same(model: Any, loop: Any) -> Any:
    weights, intercept, losses = loop
    assert np.linalg.norm(model.coef_ - weights) <= 1e-9 * np.linalg.norm(weights)
    assert model.intercept_ == pytest.approx(intercept, rel=1e-9, abs=1e-9 * float(np.linalg.norm(weights)))
    np.testing.assert_allclose(np.asarray(model.losses), losses, rtol=0, atol=1e-9 * losses[0])


@pytest.fixture
def diabetes() -> Any:
    return load_diabetes(return_X_y=True)


@parametrize_with_checks(
    [
        SimpleLinearRegression(),
        SimpleLinearRegression(penalty="l2", learning_rate="auto"),
        SimpleLinearRegression(penalty="l1", learning_rate="auto"),
        SimpleLinearRegression(penalty="elasticnet", alpha=0.01, learning_rate="auto"),
        SimpleLinearRegression(standardize=False, learning_rate="auto"),
        SimpleLinearRegression(learning_rate="invscaling", warm_start=True),
        SimpleLinearRegression(tol=1e-6, learning_rate="auto"),
    ]
)
def test_scikit_learn_finds_nothing_to_object_to(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(components.train.regression).failed == 0
    assert doctest.testmod(components.train.regression).attempted > 0


@pytest.mark.parametrize("iterations", [1, 2, 15, 1000])
@pytest.mark.parametrize("lr", [0.01, 0.1, 0.24])
def test_the_iterates_are_those_of_the_plain_loop(diabetes: Any, iterations: Any, lr: Any) -> None:
    assert_same(
        SimpleLinearRegression(iterations, lr).fit(*diabetes),
        plain_loop(diabetes[0], diabetes[1], iterations, lr),
    )


def test_the_defaults_reach_least_squares_on_the_diabetes_data(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression().fit(X[:-20, [2]], y[:-20])
    assert model.W.tolist() == [[pytest.approx(938.2379, rel=1e-7)]]
    assert model.b == pytest.approx(152.9189, rel=1e-6)
    assert model.W.shape == (1, 1)
    assert model.score(X[-20:, [2]], y[-20:]) == pytest.approx(0.47258, abs=5e-6)


def test_a_billion_iterations_end_at_least_squares(diabetes: Any) -> None:
    model = SimpleLinearRegression(10**9).fit(*diabetes)
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(*diabetes).coef_, rtol=1e-9)
    assert len(model.losses) == 10**9 + 1
    assert model.losses[-1] == pytest.approx(np.mean((diabetes[1] - model.predict(diabetes[0])) ** 2))


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-8])
def test_a_small_eigenvalue_is_not_a_zero_one(gap: Any) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 300))
    X = np.column_stack([first, first + gap * second])
    y = second + rng.normal(size=300)
    assert_same(SimpleLinearRegression(3000).fit(X, y), plain_loop(X, y, 3000))


def test_directions_without_data_keep_their_start() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(200, 2))
    X = np.column_stack([base, base @ [1.0, -2.0], np.full(200, 7.0)])
    y = base @ [3.0, 1.0] + rng.normal(size=200)
    assert_same(SimpleLinearRegression(500).fit(X, y), plain_loop(X, y, 500))
    forever = SimpleLinearRegression(10**12).fit(X, y)
    assert forever.coef_[3] == 0
    np.testing.assert_allclose(forever.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-9)


@pytest.mark.parametrize("iterations", [1, 100, 5000])
def test_raw_features_far_from_zero_are_no_worse(iterations: Any) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(1e4, 1, size=(200, 1))
    y = 3 * X[:, 0] + rng.normal(size=200)
    model = SimpleLinearRegression(iterations, 4e-9, standardize=False).fit(X, y)
    assert_same(model, plain_loop(X, y, iterations, 4e-9, standardize=False))


def test_raw_features_on_unlike_scales_are_no_worse() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 3)) * [1e-3, 1, 1e2] + [0, 5, 0]
    y = X @ [1e3, 1, 1e-2] + rng.normal(size=200)
    model = SimpleLinearRegression(2000, 5e-5, standardize=False).fit(X, y)
    assert_same(model, plain_loop(X, y, 2000, 5e-5, standardize=False))


@pytest.mark.parametrize("standardize", [True, False])
def test_an_l2_penalty_is_part_of_every_step(diabetes: Any, standardize: Any) -> None:
    model = SimpleLinearRegression(700, penalty="l2", alpha=0.3, standardize=standardize).fit(*diabetes)
    assert_same(model, plain_loop(diabetes[0], diabetes[1], 700, l2=0.3, standardize=standardize))


@pytest.mark.parametrize(("penalty", "l1", "l2"), [("l1", 2.0, 0.0), ("elasticnet", 0.5, 0.75)])
@pytest.mark.parametrize("standardize", [True, False])
def test_an_l1_penalty_follows_every_step_with_a_proximal_one(
    diabetes: Any, penalty: Any, l1: Any, l2: Any, standardize: Any
) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(
        400, penalty=penalty, alpha=1.0, l1_ratio=0.25, standardize=standardize
    ).fit(X, y)
    assert_same(model, plain_loop(X, y, 400, l1=l1, l2=l2, standardize=standardize))


@pytest.mark.parametrize("penalty", [None, "l2", "l1"])
def test_the_rate_may_fall_with_the_steps(diabetes: Any, penalty: Any) -> None:
    model = SimpleLinearRegression(
        9000, 0.24, penalty=penalty, alpha=0.1, learning_rate="invscaling", power_t=0.5
    )
    loop = plain_loop(
        diabetes[0],
        diabetes[1],
        9000,
        0.24,
        power=0.5,
        l1=0.2 * (penalty == "l1"),
        l2=0.1 * (penalty == "l2"),
    )
    assert_same(model.fit(*diabetes), loop)


def test_the_same_alpha_means_the_same_model_as_elastic_net(diabetes: Any) -> None:
    X, y = diabetes
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    settings: dict[str, Any] = {"alpha": 2.0, "l1_ratio": 0.4}
    model = SimpleLinearRegression(10**6, penalty="elasticnet", learning_rate="auto", **settings).fit(Z, y)
    reference = ElasticNet(**settings, tol=1e-12, max_iter=10**6).fit(Z, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-7, atol=1e-9)


def test_an_l2_penalty_ends_at_ridge_regression(diabetes: Any) -> None:
    X, y = diabetes
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    model = SimpleLinearRegression(10**8, penalty="l2", alpha=0.5).fit(Z, y)
    np.testing.assert_allclose(model.coef_, Ridge(alpha=0.5 * len(y)).fit(Z, y).coef_, rtol=1e-9)


def test_n_is_the_sum_of_the_weights(diabetes: Any) -> None:
    X, y = diabetes
    weight = np.random.default_rng(4).integers(0, 4, size=len(y)).astype(float)
    model = SimpleLinearRegression(300).fit(X, y, sample_weight=weight)
    assert_same(model, plain_loop(X, y, 300, weight=weight))


@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@pytest.mark.parametrize("tol", [1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("patience", [1, 5])
def test_it_stops_at_the_step_of_the_loop(
    diabetes: Any, penalty: Any, schedule: Any, tol: Any, patience: Any
) -> None:
    X, y = diabetes
    X, tol = X[:, [2, 3]], tol * np.mean(y**2)
    model = SimpleLinearRegression(
        3000, 0.05, penalty=penalty, alpha=1.0, learning_rate=schedule, tol=tol, n_iter_no_change=patience
    ).fit(X, y)
    power = 0.25 if schedule == "invscaling" else 0.0
    *_, losses = plain_loop(X, y, 3000, 0.05, l1=2.0 if penalty else 0.0, power=power)
    row = 0
    for step in range(1, 3001):
        row = row + 1 if losses[step] > losses[:step].min() - tol else 0
        if row == patience:
            break
    assert model.n_iter_ == step
    assert len(model.losses) == step + 1


def test_a_tolerance_that_is_not_met_is_a_warning(diabetes: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="increase iterations"):
        model = SimpleLinearRegression(10, tol=1e-9).fit(*diabetes)
    assert model.n_iter_ == 10


@pytest.mark.parametrize(
    "settings", [{}, {"penalty": "l1"}, {"batch_size": 32}, {"learning_rate": "invscaling"}]
)
def test_a_rate_that_diverges_is_refused_and_the_largest_stable_one_named(
    diabetes: Any, settings: Any
) -> None:
    with pytest.raises(
        ValueError, match=r"diverges at the learning rate lr=0\.9: the largest stable"
    ) as error:
        SimpleLinearRegression(50, 0.9, random_state=0, **settings).fit(*diabetes)
    stable = float(str(error.value).rstrip(".").split()[-1])
    model = SimpleLinearRegression(50, stable, random_state=0, **settings).fit(*diabetes)
    assert model.losses[-1] < model.losses[0]


def test_the_stable_rate_is_as_large_as_it_can_be(diabetes: Any) -> None:
    with pytest.raises(ValueError, match="diverges") as error:
        SimpleLinearRegression(lr=0.5).fit(*diabetes)
    stable = float(str(error.value).rstrip(".").split()[-1])
    with pytest.raises(ValueError, match="diverges"):
        SimpleLinearRegression(lr=stable * 1.01).fit(*diabetes)


def test_losses_are_read_like_a_list_and_computed_when_read(diabetes: Any) -> None:
    losses = SimpleLinearRegression(10**15).fit(*diabetes).losses
    assert len(losses) == 10**15 + 1
    assert losses[0] == pytest.approx(np.mean(diabetes[1] ** 2))
    assert losses[-1] == losses[10**15] <= losses[1] < losses[0]
    few = losses[:5]
    assert few[::-1][0] == few[4]
    assert list(few) == np.asarray(few).tolist() == [losses[k] for k in range(5)]
    assert np.asarray(few, dtype=np.float32).dtype == np.float32
    with pytest.raises(IndexError):
        few[5]


def test_losses_are_read_by_an_array_of_indices_in_one_go(diabetes: Any) -> None:
    losses = SimpleLinearRegression(10**15).fit(*diabetes).losses
    wanted = np.array([10**15, 3, -1, 0, 3])
    assert losses[wanted].tolist() == [losses[int(index)] for index in wanted]
    assert losses[np.array([], dtype=np.int64)].shape == (0,)
    with pytest.raises(IndexError):
        losses[np.array([10**15 + 1])]


def test_losses_once_taken_belong_to_their_fit(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(10).fit(X, y)
    losses = model.losses
    before = list(losses)
    model.fit(X, y * 2)
    assert list(losses) == before


def test_a_warm_start_goes_on_where_the_last_fit_ended(diabetes: Any) -> None:
    model = SimpleLinearRegression(100, warm_start=True).fit(*diabetes).fit(*diabetes)
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(200).fit(*diabetes).coef_, rtol=1e-9)
    with pytest.raises(ValueError, match="10 features, this one is of 1"):
        model.fit(diabetes[0][:, :1], diabetes[1])


def test_rows_may_come_in_any_parts_and_order(diabetes: Any) -> None:
    X, y = diabetes
    order = np.random.default_rng(5).permutation(len(y))
    model = SimpleLinearRegression(300)
    for part in np.array_split(order, [1, 3, 50, 51, 300]):
        model.partial_fit(X[part], y[part])
    whole = SimpleLinearRegression(300).fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(model.losses), np.asarray(whole.losses), rtol=1e-12)


def test_a_bad_part_leaves_the_model_as_it_was(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(300).partial_fit(X[:200], y[:200])
    before = model.coef_.copy()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((1, 10), np.nan), [1.0])
    assert np.array_equal(model.coef_, before)
    model.partial_fit(X[200:], y[200:])
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(300).fit(X, y).coef_, rtol=1e-12)


def test_the_moments_of_shards_give_the_model_of_the_whole(diabetes: Any) -> None:
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


def test_a_feature_of_mean_1e8_and_deviation_1_loses_nothing() -> None:
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
def test_finite_values_whose_squares_are_not_are_no_problem(of_x: Any, of_y: Any) -> None:
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
def test_values_that_are_not_finite_are_refused_in_scikit_learns_words(
    diabetes: Any, where: Any, value: Any, message: Any
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


def test_it_works_where_estimators_work() -> None:
    X, y = make_regression(200, 3, noise=5, random_state=0)
    pipeline = make_pipeline(PolynomialFeatures(2), SimpleLinearRegression(learning_rate="auto"))
    assert cross_val_score(pipeline, X, y).min() > 0.9
    grid = GridSearchCV(SimpleLinearRegression(), {"lr": [1e-5, 0.1], "penalty": [None, "l2"]}).fit(X, y)
    assert grid.best_params_["lr"] == 0.1


def test_it_prints_clones_and_pickles_like_its_neighbours(diabetes: Any) -> None:
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
def test_a_parameter_out_of_its_range_is_named(diabetes: Any, settings: Any) -> None:
    with pytest.raises(ValueError, match=f"The '{next(iter(settings))}' parameter"):
        SimpleLinearRegression(**settings).fit(*diabetes)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_progress_is_printed_when_asked_for(diabetes: Any, capsys: Any, batch_size: Any) -> None:
    SimpleLinearRegression(20, 0.01, batch_size=batch_size, verbose=1, random_state=0).fit(*diabetes)
    assert "Iteration 20, loss: " in capsys.readouterr().out
