from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from components.data.moments import Moments
from components.train.objective import Objective
from components.train.rates import InverseScaling
from components.train.regression import SimpleLinearRegression
from components.train.stochastic import BLOCK_ROWS, LARGE_BATCH, MiniBatches


def data(n: Any = 503, d: Any = 4, seed: Any = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.arange(1, d + 1) + 3
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


def reference_steps(batches: Any, order: Any, point: Any, rates: Any) -> Any:
    """Take one step for each batch, as a textbook writes it."""
    objective, size = batches.objective, batches.size
    Z, y = ((batches.X - objective.centre) / objective.scale)[order], batches.y[order]
    weight = np.ones(len(y)) if batches.weight is None else batches.weight[order]
    w, b = point[:-1], point[-1]
    for number, rate in enumerate(rates):
        rows = slice(number * size, (number + 1) * size)
        residual = weight[rows] * (y[rows] - Z[rows] @ w - b)
        step = 2 * rate / len(residual)
        w, b = w * (1 - 2 * rate * objective.l2) + step * (Z[rows].T @ residual), b + step * residual.sum()
        w = np.sign(w) * np.maximum(np.abs(w) - rate * objective.l1, 0)
    return np.append(w, b)


@pytest.mark.parametrize("size", [1, 2, 7, LARGE_BATCH - 1, LARGE_BATCH, 100, 1000])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_epoch_takes_the_steps_of_the_reference(size: Any, l2: Any, weighted: Any) -> None:
    X, y = data()
    weight = np.random.default_rng(1).random(len(y)) if weighted else None
    objective = Objective.of(Moments.of(X, y, weight), standardize=True, l2=l2)
    batches = MiniBatches(X, y, None if weight is None else weight / weight.mean(), objective, size)
    point = np.arange(5.0)
    steps = np.arange(1, -(-len(y) // size) + 1)
    rates = InverseScaling(0.01, 0.25).at(steps)
    expected = reference_steps(batches, np.random.default_rng(2).permutation(len(y)), point, rates)
    for rows in batches.shuffled(np.random.default_rng(2)):
        point = batches.descend(rows, point, rates[: batches.count(rows)])
        rates = rates[batches.count(rows) :]
    assert rates.size == 0
    np.testing.assert_allclose(point, expected, rtol=1e-10, atol=1e-12)


def test_applies_the_l1_penalty_after_every_large_batch() -> None:
    X, y = data()
    objective = Objective.of(Moments.of(X, y), standardize=True, l1=0.8)
    batches = MiniBatches(X, y, None, objective, LARGE_BATCH)
    (rows,) = batches.shuffled(np.random.default_rng(3))
    rates = np.full(batches.count(rows), 0.02)
    point = batches.descend(rows, objective.zero, rates)
    expected = reference_steps(batches, np.random.default_rng(3).permutation(len(y)), objective.zero, rates)
    np.testing.assert_allclose(point, expected, rtol=1e-12)


def test_handles_an_l2_penalty_that_erases_the_weights_in_one_step() -> None:
    X, y = data(BLOCK_ROWS)
    objective = Objective.of(Moments.of(X, y), standardize=True, l2=50.0)
    batches = MiniBatches(X, y, None, objective, 1)
    (rows,) = batches.shuffled(np.random.default_rng(4))
    rates = np.full(batches.count(rows), 0.01)
    expected = reference_steps(batches, np.random.default_rng(4).permutation(len(y)), objective.zero, rates)
    np.testing.assert_allclose(batches.descend(rows, objective.zero, rates), expected, rtol=1e-10)


@pytest.mark.parametrize(("batch_size", "n"), [(1, 1000), (20, 1000), (64, 3000)])
@pytest.mark.parametrize("penalty", [None, "l2", "l1", "elasticnet"])
def test_falling_rates_converge_to_the_optimum(batch_size: int, n: int, penalty: str | None) -> None:
    X, y = data(n)
    settings: dict[str, Any] = {"penalty": penalty, "alpha": 0.05}
    model = SimpleLinearRegression(
        60, 0.02, learning_rate="invscaling", power_t=0.5, batch_size=batch_size, random_state=0, **settings
    ).fit(X, y)
    best = SimpleLinearRegression(1000, learning_rate="auto", **settings).fit(X, y)
    assert model.losses[-1] == pytest.approx(best.losses[-1], rel=3e-2)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=0.1)
    assert len(model.losses) == model.n_iter_ + 1 == 61
    assert model.t_ == 60 * -(-n // batch_size)


def test_a_batch_of_all_rows_equals_full_batch_descent() -> None:
    X, y = data()
    model = SimpleLinearRegression(50, batch_size=len(y)).fit(X, y)
    assert np.array_equal(model.coef_, SimpleLinearRegression(50).fit(X, y).coef_)


def test_automatic_rate_is_stable_with_an_outlying_row() -> None:
    X, y = data(400)
    X[0], y[0] = 300, 1
    for size in (1, 16, 64):
        model = SimpleLinearRegression(20, learning_rate="auto", batch_size=size, random_state=0).fit(X, y)
        assert model.losses[-1] < model.losses[0]


def test_same_seed_gives_the_same_model() -> None:
    X, y = data()
    first, second = (
        SimpleLinearRegression(3, 0.01, batch_size=8, random_state=5).fit(X, y) for _ in range(2)
    )
    other = SimpleLinearRegression(3, 0.01, batch_size=8, random_state=6).fit(X, y)
    assert np.array_equal(first.coef_, second.coef_)
    assert not np.array_equal(first.coef_, other.coef_)


def test_stops_when_epochs_no_longer_lower_the_loss() -> None:
    model = SimpleLinearRegression(5000, 0.01, batch_size=64, tol=1e-3, random_state=0).fit(*data())
    assert model.n_iter_ < 1000
    losses = np.asarray(model.losses)
    gains = np.minimum.accumulate(losses)[:-1] - losses[1:]
    assert (gains[-5:] < 1e-3).all()
    assert gains[-6] >= 1e-3


def test_partial_fit_learns_from_parts_in_turn() -> None:
    X, y = data(5000)
    model = SimpleLinearRegression(lr=0.01, batch_size=16, random_state=0)
    for part in np.array_split(np.arange(5000), 10):
        model.partial_fit(X[part], y[part])
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, y).coef_, atol=0.1)
    assert model.t_ == 10 * -(-500 // 16)


def test_descends_in_float64_on_float32_rows() -> None:
    X, y = data()
    settings: dict[str, Any] = {"lr": 0.01, "batch_size": 8, "random_state": 0}
    model = SimpleLinearRegression(5, **settings).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(5, **settings).fit(X, y).coef_, rtol=1e-4)
