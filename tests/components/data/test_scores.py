import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from components.data import scores as module
from components.data.scores import mse_difference, score

finite = st.floats(-1e6, 1e6)
pairs = st.integers(2, 40).flatmap(
    lambda size: st.tuples(
        arrays(np.float64, size, elements=finite), arrays(np.float64, size, elements=finite)
    )
)


@given(pairs)
def test_scores_equal_scikit_learns(rows: tuple[np.ndarray, np.ndarray]) -> None:
    target, predicted = rows
    scores = score(target, predicted)
    assert scores.mse == pytest.approx(mean_squared_error(target, predicted), rel=1e-9)
    assert scores.mae == pytest.approx(mean_absolute_error(target, predicted), rel=1e-9)
    if np.ptp(target) > 1e-3:
        assert scores.r2 == pytest.approx(r2_score(target, predicted), rel=1e-6, abs=1e-9)


def test_r2_of_a_constant_target_is_nan() -> None:
    assert math.isnan(score(np.ones(5), np.ones(5)).r2)
    assert math.isnan(score(np.ones(5), np.zeros(5)).r2)


def test_overflowing_predictions_have_an_infinite_error() -> None:
    scores = score(np.array([0.0, 1.0]), np.array([1e308, -1e308]))
    assert scores.mse == math.inf
    assert scores.r2 == -math.inf


def test_error_of_a_nan_prediction_is_nan() -> None:
    assert math.isnan(score(np.array([0.0, 1.0]), np.array([math.nan, 1.0])).mse)


@pytest.mark.parametrize("shapes", [(3, 2), (0, 0), ((2, 2), (2, 2))])
def test_refuses_shapes_that_are_not_rows_of_equal_length(shapes: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="can't be scored"):
        score(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_difference_is_that_of_the_two_errors() -> None:
    generator = np.random.default_rng(1)
    target, one, other = generator.normal(size=(3, 30))
    difference = mse_difference(target, one, other)
    assert difference.value == pytest.approx(score(target, one).mse - score(target, other).mse)
    assert difference.low < difference.value < difference.high
    assert difference.confidence == 0.95


def test_same_seed_gives_the_same_interval() -> None:
    target, one, other = np.random.default_rng(1).normal(size=(3, 30))
    assert mse_difference(target, one, other, seed=7) == mse_difference(target, one, other, seed=7)
    assert mse_difference(target, one, other, seed=7) != mse_difference(target, one, other, seed=8)


def test_a_model_does_not_differ_from_itself() -> None:
    target, one = np.random.default_rng(1).normal(size=(2, 30))
    difference = mse_difference(target, one, one)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("rows", [400, 1507], ids=["every row", "groups of rows"])
def test_interval_width_matches_the_standard_error(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCKS", 500)
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 150_000)
    target, one, other = np.random.default_rng(2).normal(size=(3, rows))
    differences = (target - one) ** 2 - (target - other) ** 2
    # Sorted, so that groups of neighbouring rows would give a wider interval.
    order = np.argsort(differences)
    target, one, other = target[order], one[order], other[order]
    expected = 2 * 1.96 * differences.std() / math.sqrt(rows)
    interval = mse_difference(target, one, other)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_interval_covers_the_true_difference_at_its_confidence() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        target = generator.normal(size=100)
        one, other = target + generator.normal(size=100), target + generator.normal(size=100)
        interval = mse_difference(target, one, other, resamples=400)
        covered += interval.low <= 0 <= interval.high
    assert 180 <= covered <= 199
