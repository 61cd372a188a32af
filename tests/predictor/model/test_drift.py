"""Bins that keep point masses apart, and the drift of a sample against them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, chi2_contingency

from predictor.model.drift import Counts, Distribution, chi_square_quantile, compare, measure

Values = NDArray[np.float64]
FIVE_BINS = Distribution(2.0, 1.0, edges=(0.5, 1.5, 2.5, 3.5), proportions=(0.2,) * 5)
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=2000)
INDICATOR = (RANDOM.random(2000) < 0.05).astype(float)
MOSTLY_ZERO = RANDOM.exponential(size=2000) * (RANDOM.random(2000) < 0.08)


@pytest.mark.parametrize(
    ("values", "edges", "largest"),
    [
        pytest.param(INDICATOR, (1.0,), 0.96, id="indicator"),
        pytest.param(np.zeros(5), (), 1.0, id="constant"),
        pytest.param(np.arange(10.0).repeat(3), tuple(np.arange(1.0, 10)), 0.1, id="ten values"),
        pytest.param(MOSTLY_ZERO, (5e-324, pytest.approx(0.7, abs=0.2)), 0.93, id="mostly zero"),
    ],
)
def test_point_masses_have_bins_of_their_own(
    values: Values, edges: tuple[float, ...], largest: float
) -> None:
    distribution = Distribution.of(values)
    assert distribution.edges == edges
    assert max(distribution.proportions) == pytest.approx(largest, abs=0.02)


@given(st.lists(st.floats(-10, 10) | st.integers(-2, 2).map(float), min_size=1, max_size=300))
def test_no_bin_of_the_training_rows_is_empty(values: list[float]) -> None:
    assert min(Distribution.of(np.array(values)).proportions) > 0


@pytest.mark.parametrize(
    ("trained", "seen", "moved"),
    [
        pytest.param(NORMAL, RANDOM.normal(size=1000), False, id="nothing moved"),
        pytest.param(NORMAL, RANDOM.normal(0.5, 1, 1000), True, id="half a deviation"),
        pytest.param(INDICATOR, (RANDOM.random(1000) < 0.05).astype(float), False, id="same indicator"),
        pytest.param(INDICATOR, (RANDOM.random(1000) < 0.15).astype(float), True, id="5 to 15 %"),
        pytest.param(INDICATOR, 1 - INDICATOR, True, id="5 to 95 %"),
        pytest.param(MOSTLY_ZERO, np.zeros(1000), True, id="only zeros"),
        pytest.param(np.zeros(100), np.zeros(300), False, id="constant"),
    ],
)
def test_drift_is_large_and_beyond_chance(trained: Values, seen: Values, moved: bool) -> None:
    found = measure(Distribution.of(trained), trained.size, seen)
    assert found.moved(columns=1) is moved


def test_index_follows_its_formula() -> None:
    half = Distribution(0.0, 1.0, edges=(0.0,), proportions=(0.5, 0.5))
    found = measure(half, 100, np.array([-1.0, 1.0, 1.0, 1.0]))
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert found.index == pytest.approx(expected, rel=1e-12)


def test_statistic_is_scipys_of_the_table_of_counts() -> None:
    reference = Distribution(0.0, 1.0, edges=(0.0, 1.0), proportions=(0.5, 0.3, 0.2))
    seen = np.repeat([-1.0, 0.5, 2.0], [30, 50, 20])
    found = measure(reference, 200, seen)
    expected = chi2_contingency([[30, 50, 20], [100, 60, 40]], correction=False, lambda_="log-likelihood")
    assert found.chi_square == pytest.approx(expected.statistic)
    assert found.degrees == expected.dof


def test_no_values_have_no_drift() -> None:
    found = measure(Distribution.of(NORMAL), 2000, np.empty(0))
    assert math.isnan(found.index)
    assert not found.beyond_chance(0.5)


@pytest.mark.parametrize(
    ("bins", "requests", "rows"),
    [
        pytest.param(np.arange(200) % 5, np.arange(200), 200, id="a request for each row"),
        pytest.param(np.arange(200) % 5, np.zeros(200), 1, id="one request"),
        pytest.param(
            np.arange(20).repeat(10) % 5, np.arange(20).repeat(10), 19, id="rows alike in a request"
        ),
        pytest.param(np.arange(200) % 5, np.arange(20).repeat(10), 200, id="requests alike"),
        pytest.param(np.zeros(200), np.arange(20).repeat(10), 20, id="one bin"),
    ],
)
def test_rows_that_resemble_each_other_count_less(bins: Values, requests: Values, rows: float) -> None:
    found = Counts.of(FIVE_BINS, bins.astype(float), requests.astype(np.intp)).effective_rows
    assert found == pytest.approx(rows)


def test_rows_of_requests_that_are_independent_count_nearly_whole() -> None:
    values = np.random.default_rng(1).normal(size=2000)
    assert Counts.of(Distribution.of(NORMAL), values, np.arange(200).repeat(10)).effective_rows > 1500


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1), st.integers(1, 6))
def test_counts_of_samples_add_up_to_those_of_all(rows: list[tuple[int, int]], cut: int) -> None:
    bins, requests = np.array(rows).T
    first = requests < cut
    whole = _counts(bins, requests)
    parts = _counts(bins[first], requests[first]) + _counts(bins[~first], requests[~first])
    assert compare(FIVE_BINS, 100, parts).rows == pytest.approx(compare(FIVE_BINS, 100, whole).rows)
    np.testing.assert_array_equal(parts.bins, whole.bins)


def _counts(bins: NDArray[np.intp], requests: NDArray[np.intp]) -> Counts:
    _, numbers = np.unique(requests, return_inverse=True)
    return Counts.of(FIVE_BINS, bins.astype(float), numbers.astype(np.intp))


@pytest.mark.parametrize("degrees", [1, 2, 9, 50])
@pytest.mark.parametrize("level", [1e-3, 1e-4, 1e-5])
def test_chi_square_quantile_is_hardly_larger_than_scipys(degrees: int, level: float) -> None:
    ratio = chi_square_quantile(degrees, level) / chi2.isf(level, degrees)
    assert 0.995 < ratio < 1.12
