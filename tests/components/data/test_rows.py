"""The overlap of sets of held-out rows, estimated from their fingerprints."""

import numpy as np
import pytest

from components.data.rows import SKETCH_SIZE, RowSketch


def sketch(first: int, last: int) -> RowSketch:
    rows = np.arange(first, last, dtype=np.float64)
    return RowSketch.of({"x": rows, "y": np.sqrt(rows)})


@pytest.mark.parametrize(
    ("now", "before", "share"),
    [
        pytest.param((0, 20), (0, 20), 1.0, id="same rows"),
        pytest.param((0, 20), (20, 40), 0.0, id="fresh rows"),
        pytest.param((0, 20), (15, 40), 0.25, id="some rows"),
        pytest.param((0, 40), (0, 20), 0.5, id="more rows than before"),
        pytest.param((0, 20), (0, 40), 1.0, id="fewer rows than before"),
    ],
)
def test_small_sets_overlap_exactly(now: tuple[int, int], before: tuple[int, int], share: float) -> None:
    assert sketch(*now).share_in(sketch(*before)) == share


@pytest.mark.parametrize(
    ("now", "before", "share"),
    [
        pytest.param((0, 10_000), (0, 10_000), 1.0, id="same rows"),
        pytest.param((0, 10_000), (10_000, 20_000), 0.0, id="fresh rows"),
        pytest.param((0, 10_000), (7_000, 17_000), 0.3, id="some rows"),
        pytest.param((0, 200), (100, 5_000), 0.5, id="a small set in a large one"),
        pytest.param((0, 5_000), (0, 200), 0.04, id="a large set after a small one"),
    ],
)
def test_overlap_of_large_sets_is_estimated(
    now: tuple[int, int], before: tuple[int, int], share: float
) -> None:
    assert sketch(*now).share_in(sketch(*before)) == pytest.approx(share, abs=0.15)
    assert len(sketch(*now).fingerprints) <= SKETCH_SIZE


def test_order_of_rows_and_columns_does_not_matter() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    turned = RowSketch.of({"y": y[::-1], "x": x[::-1]})
    assert RowSketch.of({"x": x, "y": y}) == turned


def test_swapped_values_are_another_row() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert RowSketch.of({"x": x, "y": y}).share_in(RowSketch.of({"x": y, "y": x})) == 0.0


def test_both_zeros_are_one_value() -> None:
    assert RowSketch.of({"x": np.array([0.0])}) == RowSketch.of({"x": np.array([-0.0])})


def test_a_missing_value_is_one_value() -> None:
    other = np.array([0x7FF8000000000001], np.uint64).view(np.float64)
    assert RowSketch.of({"x": other}) == RowSketch.of({"x": np.array([np.nan])})


def test_rows_with_other_columns_count_as_the_same_rows() -> None:
    rows = np.arange(5.0)
    assert RowSketch.of({"x": rows}).share_in(RowSketch.of({"x": rows, "z": rows})) == 1.0
