import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data import gram
from components.data.moments import Moments, merge


def two_pass(X: Any, y: Any, weight: Any = None) -> Any:
    """Mean and covariance in long doubles, in two passes."""
    columns = np.column_stack([X, y]).astype(np.longdouble)
    weight = np.ones(len(y)) if weight is None else weight.astype(np.longdouble)
    mean = weight @ columns / weight.sum()
    deviations = columns - mean
    return mean, (deviations * weight[:, None]).T @ deviations / weight.sum()


def assert_exact(moments: Any, X: Any, y: Any, weight: Any = None, rtol: Any = 1e-12) -> Any:
    mean, covariance = two_pass(X, y, weight)
    scale = np.sqrt(np.diag(covariance)).astype(float)
    assert np.all(np.abs(moments.mean - mean) <= rtol * scale + np.spacing(np.abs(mean).astype(float)))
    assert np.all(np.abs(moments.covariance - covariance) <= rtol * np.outer(scale, scale))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few thousand rows span several blocks."""
    monkeypatch.setattr(gram, "BLOCK_VALUES", 2048)


def rows(n: Any, d: Any, seed: Any = 0, mean: Any = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(mean, 1, size=(n, d))
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


@pytest.mark.parametrize("mean", [0.0, 3.0, 1e4, 1e8])
@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_pass_is_as_accurate_as_two(mean: Any, features: Any, order: Any, weighted: Any) -> None:
    X, y = rows(5001, features, mean=mean)
    weight = np.random.default_rng(1).random(len(y)) if weighted else None
    assert_exact(Moments.of(np.asarray(X, order=order), y, weight), X, y, weight)


@pytest.mark.parametrize("features", [1, 3])
def test_result_does_not_depend_on_the_number_of_threads(features: Any, monkeypatch: Any) -> None:
    X, y = rows(20_001, features, mean=2.0)
    monkeypatch.setattr(gram, "PARALLEL_VALUES", 1)
    several = Moments.of(X, y)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert np.array_equal(Moments.of(X, y).comoment, several.comoment)
    assert_exact(several, X, y)


def test_accepts_strided_arrays() -> None:
    X, y = rows(1000, 6)
    assert_exact(Moments.of(X[::2, 1::2], y[::2]), X[::2, 1::2], y[::2])


def test_sums_float32_in_float64() -> None:
    X, y = rows(5000, 3, mean=100.0)
    X, y = X.astype(np.float32), y.astype(np.float32)
    assert_exact(Moments.of(X, y), X, y)


def test_stays_accurate_for_sorted_rows_with_outliers_first() -> None:
    X, y = rows(5000, 2)
    X[:, 0] = np.sort(X[:, 0]) + 1e6
    X[:40, 1] = 1e9
    assert_exact(Moments.of(X, y), X, y)


def test_stays_accurate_when_the_sampled_rows_are_far_from_the_mean() -> None:
    X, y = rows(100_000, 1)
    X[np.linspace(0, len(X) - 1, 33).astype(int)] = 1e7
    assert_exact(Moments.of(X, y), X, y, rtol=1e-9)


def test_stays_accurate_when_the_sampled_rows_have_no_weight() -> None:
    X, y = rows(1000, 2)
    weight = np.ones(1000)
    sampled = np.linspace(0, 999, 33).astype(int)
    X[sampled], y[sampled], weight[sampled] = 1e6, 1e6, 0
    kept = weight > 0
    assert_exact(Moments.of(X, y, weight), X[kept], y[kept])


def test_variances_are_never_negative() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, weight = np.full((50, 1), 10 * rng.random()), rng.random(50)
        ignored = slice(0, rng.integers(50))
        X[ignored], weight[ignored] = 10 * rng.random(), 0
        assert (np.diag(Moments.of(X, rng.random(50), weight).comoment) >= 0).all(), seed


def test_constant_columns_have_a_variance_of_exactly_zero() -> None:
    X = np.full((1001, 2), 0.1)
    moments = merge([Moments.of(X, X[:, 0]), Moments.of(X[:500], X[:500, 0])])
    assert not moments.comoment.any()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_merging_parts_in_any_order_gives_the_whole(sizes: Any, random: Any) -> None:
    X, y = rows(sum(sizes), 2, mean=1e3)
    edges = np.cumsum(sizes)[:-1]
    parts = [Moments.of(*part) for part in zip(np.split(X, edges), np.split(y, edges), strict=True)]
    random.shuffle(parts)
    merged = merge(parts)
    assert merged.rows == merged.weight == sum(sizes)
    assert_exact(merged, X, y)


@pytest.mark.parametrize("mean", [0.0, 1e8])
def test_merging_a_thousand_parts_stays_accurate(mean: Any) -> None:
    X, y = rows(5000, 1, mean=mean)
    merged = merge(Moments.of(X[part], y[part]) for part in np.array_split(np.arange(len(y)), 1000))
    assert_exact(merged, X, y)


class Tree:
    """A stand-in for moments that records the depth of its tree of merges."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth

    def merge(self, other: "Tree") -> "Tree":
        return Tree(max(self.depth, other.depth) + 1)


@pytest.mark.parametrize(("parts", "depth"), [(1, 0), (2, 1), (1000, 10), (1024, 10), (1025, 11)])
def test_merges_pairwise(parts: int, depth: int) -> None:
    whole: Any = merge(Tree() for _ in range(parts))  # type: ignore[misc]
    assert whole.depth == depth


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e308, 5e-324 * 2**20])
def test_rescales_columns_whose_squares_overflow_or_underflow(scale: Any) -> None:
    X, y = rows(500, 2)
    X = np.clip(X, -1.7, 1.7)
    usual = Moments.of(X, y)
    X[:, 1] = X[:, 1] * scale
    scaled = Moments.of(X, y)
    assert scaled.finite
    back = np.ldexp(np.sqrt(scaled.covariance[1, 1]), scaled.exponent[1]) / scale
    assert back == pytest.approx(np.sqrt(usual.covariance[1, 1]), rel=1e-5)
    assert scaled.covariance[0, 0] == usual.covariance[0, 0]
    merged = Moments.of(X[:100], y[:100]).merge(Moments.of(X[100:], y[100:]))
    np.testing.assert_allclose(merged.covariance, scaled.covariance, rtol=1e-12)


def test_merges_parts_of_very_different_scales() -> None:
    X, y = rows(200, 1)
    X[100:] *= 1e200
    merged = Moments.of(X[:100], y[:100]).merge(Moments.of(X[100:], y[100:]))
    np.testing.assert_allclose(merged.covariance, Moments.of(X, y).covariance, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("features", [1, 3])
def test_non_finite_values_give_non_finite_moments(value: Any, features: Any) -> None:
    X, y = rows(5000, features)
    X[4321, -1] = value
    assert not Moments.of(X, y).finite


def test_json_round_trip_is_exact() -> None:
    moments = Moments.of(*rows(100, 3, mean=1e8))
    again = Moments.from_json(moments.to_json())
    assert again.to_json() == moments.to_json()
    assert np.array_equal(again.comoment, moments.comoment)
    assert np.array_equal(again.offset, moments.offset)
    assert (again.rows, again.weight) == (moments.rows, moments.weight)


def changed(**values: Any) -> Any:
    return json.dumps(json.loads(Moments.of(*rows(9, 1)).to_json()) | values)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100_000, changed(format_version=2), changed(rows=0), changed(weight="nan"),
     changed(weight="-0x1p0"), changed(shift=["0x1p0"]), changed(shift=["inf", "inf"]),
     changed(comoment=[["0x1p0"]]),
     changed(offset=None), changed(exponent=[0.5, "a"])],
)  # fmt: skip
def test_from_json_refuses_malformed_text(text: Any) -> None:
    with pytest.raises(ValueError, match="not the moments of a dataset"):
        Moments.from_json(text)


def test_merge_refuses_no_parts_and_parts_of_different_features() -> None:
    with pytest.raises(ValueError, match="moments of 1 and of 2 features"):
        Moments.of(*rows(9, 1)).merge(Moments.of(*rows(9, 2)))
    with pytest.raises(ValueError, match="no moments to merge"):
        merge([])
