from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from components.train.moments import Moments
from components.train.objective import Objective
from components.train.rates import InverseScaling
from components.train.regression import SimpleLinearRegression
from components.train.stochastic import BLOCK_ROWS, LARGE_BATCH, MiniBatches


def data(n: Any = 503, d: Any = 4, seed: Any = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.arange(1, d + 1) + 3
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


def plain_loop(batches: Any, order: Any, point: Any, rates: Any) -> Any:
    """One step for each batch, row by row as the field writes it down."""
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
def test_an_epoch_takes_the_steps_of_the_plain_loop(size: Any, l2: Any, weighted: Any) -> None:
    X, y = data()
    weight = np.random.default_rng(1).random(len(y)) if weighted else None
    objective = Objective.of(Moments.of(X, y, weight), standardize=True, l2=l2)
    batches = MiniBatches(X, y, None if weight is None else weight / weight.mean(), objective, size)
    point = np.arange(5.0)
    steps = np.arange(1, -(-len(y) // size) + 1)
    rates = InverseScaling(0.01, 0.25).at(steps)
    expected = plain_loop(batches, np.random.default_rng(2).permutation(len(y)), point, rates)
    for rows in batches.shuffled(np.random.default_rng(2)):
        point = batches.descend(rows, point, rates[: batches.count(rows)])
        rates = rates[batches.count(rows) :]
    assert rates.size == 0
    np.testing.assert_allclose(point, expected, rtol=1e-10, atol=1e-12)


def test_a_penalty_with_corners_follows_every_large_batch() -> None:
    X, y = data()
    objective = Objective.of(Moments.of(X, y), standardize=True, l1=0.8)
    batches = MiniBatches(X, y, None, objective, LARGE_BATCH)
    (rows,) = batches.shuffled(np.random.default_rng(3))
    rates = np.full(batches.count(rows), 0.02)
    point = batches.descend(rows, objective.zero, rates)
    expected = plain_loop(batches, np.random.default_rng(3).permutation(len(y)), objective.zero, rates)
    np.testing.assert_allclose(point, expected, rtol=1e-12)


def test_a_retention_of_nothing_is_no_division_by_zero() -> None:
    X, y = data(BLOCK_ROWS)
    objective = Objective.of(Moments.of(X, y), standardize=True, l2=50.0)
    batches = MiniBatches(X, y, None, objective, 1)
    (rows,) = batches.shuffled(np.random.default_rng(4))
    rates = np.full(batches.count(rows), 0.01)
    expected = plain_loop(batches, np.random.default_rng(4).permutation(len(y)), objective.zero, rates)
    np.testing.assert_allclose(batches.descend(rows, objective.zero, rates), expected, rtol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 20, 64])
@pytest.mark.parametrize("penalty", [None, "l2", "l1", "elasticnet"])
def test_falling_rates_lead_to_the_optimum(batch_size: Any, penalty: Any) -> None:
    X, y = data(3000)
    settings: dict[str, Any] = {"penalty": penalty, "alpha": 0.05}
    model = SimpleLinearRegression(
        60, 0.02, learning_rate="invscaling", power_t=0.5, batch_size=batch_size, random_state=0, **settings
    ).fit(X, y)
    best = SimpleLinearRegression(10**6, learning_rate="auto", **settings).fit(X, y)
    assert model.losses[-1] == pytest.approx(best.losses[-1], rel=3e-2)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=0.1)
    assert len(model.losses) == model.n_iter_ + 1 == 61
    assert model.t_ == 60 * -(-3000 // batch_size)


def test_a_batch_of_all_rows_is_the_whole_set() -> None:
    X, y = data()
    model = SimpleLinearRegression(50, batch_size=len(y)).fit(X, y)
    assert np.array_equal(model.coef_, SimpleLinearRegression(50).fit(X, y).coef_)


def test_the_automatic_rate_is_stable_where_rows_are_unlike() -> None:
    X, y = data(400)
    X[0], y[0] = 300, 1
    for size in (1, 16, 64):
        model = SimpleLinearRegression(20, learning_rate="auto", batch_size=size, random_state=0).fit(X, y)
        assert model.losses[-1] < model.losses[0]


def test_the_same_seed_gives_the_same_model() -> None:
    X, y = data()
    first, second = (
        SimpleLinearRegression(3, 0.01, batch_size=8, random_state=5).fit(X, y) for _ in range(2)
    )
    other = SimpleLinearRegression(3, 0.01, batch_size=8, random_state=6).fit(X, y)
    assert np.array_equal(first.coef_, second.coef_)
    assert not np.array_equal(first.coef_, other.coef_)


def test_it_stops_when_epochs_gain_nothing_more() -> None:
    model = SimpleLinearRegression(5000, 0.01, batch_size=64, tol=1e-3, random_state=0).fit(*data())
    assert model.n_iter_ < 1000
    losses = np.asarray(model.losses)
    gains = np.minimum.accumulate(losses)[:-1] - losses[1:]
    assert (gains[-5:] < 1e-3).all()
    assert gains[-6] >= 1e-3


def test_a_stream_of_parts_is_learnt_part_by_part() -> None:
    X, y = data(5000)
    model = SimpleLinearRegression(lr=0.01, batch_size=16, random_state=0)
    for part in np.array_split(np.arange(5000), 10):
        model.partial_fit(X[part], y[part])
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, y).coef_, atol=0.1)
    assert model.t_ == 10 * -(-500 // 16)


def test_float32_rows_are_stepped_in_float64() -> None:
    X, y = data()
    settings: dict[str, Any] = {"lr": 0.01, "batch_size": 8, "random_state": 0}
    model = SimpleLinearRegression(5, **settings).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, SimpleLinearRegression(5, **settings).fit(X, y).coef_, rtol=1e-4)
