import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_1samp
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from components.data.scores import pair, score

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


def test_standard_error_of_the_error_is_that_of_the_squared_errors() -> None:
    target, predicted = np.random.default_rng(1).normal(size=(2, 30))
    squared = (target - predicted) ** 2
    assert score(target, predicted).mse_error == pytest.approx(squared.std(ddof=1) / math.sqrt(30))
    assert math.isnan(score(np.zeros(1), np.zeros(1)).mse_error)


@pytest.mark.parametrize("minimum", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("level", [0.025, 0.2])
def test_bound_is_above_the_minimum_where_scipys_t_test_rejects(level: float, minimum: float) -> None:
    decided = set()
    for factor in np.linspace(0.2, 1.2, 30) * math.sqrt(1 - minimum):
        target, error, other = np.random.default_rng(3).normal(size=(3, 25))
        candidate, champion = target + factor * (error + 3 * other), target + error - 3 * other
        improvements = (1 - minimum) * (target - champion) ** 2 - (target - candidate) ** 2
        rejected = ttest_1samp(improvements, 0, alternative="greater").pvalue < level
        assert (pair(target, candidate, champion).lower_bound(level, minimum) > minimum) == rejected
        decided.add(bool(rejected))
    assert decided == {True, False}


def test_bound_of_equal_improvements_is_the_improvement() -> None:
    paired = pair(np.zeros(5), np.full(5, 1.0), np.full(5, 2.0))
    assert paired.lower_bound(0.025) == pytest.approx(0.75)


def test_groups_of_equal_rows_count_once() -> None:
    target, candidate, champion = np.random.default_rng(4).normal(size=(3, 12))
    groups = np.random.default_rng(5).random(12)
    once, often = (np.repeat((target, candidate, champion, groups), times, axis=1) for times in (1, 7))
    paired, repeated = pair(*once), pair(*often)
    assert (paired.units, repeated.rows, repeated.units) == (12, 84, 12)
    for minimum in (0.0, 0.1):
        assert repeated.lower_bound(0.025, minimum) == pytest.approx(paired.lower_bound(0.025, minimum))
    error = score(target, candidate).mse_error
    assert score(often[0], often[1], often[3]).mse_error == pytest.approx(error)
    assert score(often[0], often[1]).mse_error < error / 2


def test_the_order_of_grouped_rows_does_not_matter() -> None:
    target, candidate, champion = np.random.default_rng(6).normal(size=(3, 40))
    groups = np.random.default_rng(7).integers(0, 9, 40) / 9
    shuffled = np.random.default_rng(8).permutation(40)
    rows = (target, candidate, champion, groups)
    found = pair(*(values[shuffled] for values in rows)).lower_bound(0.025)
    assert found == pytest.approx(pair(*rows).lower_bound(0.025))


def test_one_group_has_no_interval() -> None:
    target, candidate, champion = np.random.default_rng(9).normal(size=(3, 10))
    assert math.isnan(pair(target, candidate, champion, np.zeros(10)).lower_bound(0.025))
    assert math.isnan(score(target, candidate, np.zeros(10)).mse_error)


@pytest.mark.parametrize(
    ("candidate", "champion"),
    [([1.0], [2.0]), ([1.0, math.nan], [2.0, 3.0]), ([1.0, 1e200], [2.0, 3.0]), ([1.0, 2.0], [0.0, 0.0])],
    ids=["one row", "NaN", "overflow", "perfect champion"],
)
def test_there_is_no_bound_without_an_interval(candidate: list[float], champion: list[float]) -> None:
    paired = pair(np.zeros(len(candidate)), np.array(candidate), np.array(champion))
    assert math.isnan(paired.lower_bound(0.025))
