"""Which rows are held out: by position, by an order, by groups; in one piece and in shards."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.settings import Settings
from components.data.shard import Shard
from components.data.split import first_held_out, group_draw, kept_share, split

WHOLE = Shard("")


def test_holds_out_the_last_twenty_rows_by_default() -> None:
    held_out, kept = split(Settings(), 442, WHOLE)
    assert held_out.sum() == 20
    assert held_out[-20:].all()
    np.testing.assert_array_equal(kept, ~held_out)


def test_holds_out_a_reproducible_random_share() -> None:
    held_out, _ = split(Settings(test_share=0.3, seed=7), 10, WHOLE)
    # Literal rows, so that a new release of numpy can't change the split unnoticed.
    assert np.flatnonzero(held_out).tolist() == [3, 5, 9]
    assert (held_out != split(Settings(test_share=0.3, seed=8), 10, WHOLE)[0]).any()


@given(st.integers(0, 500), st.just(0.0) | st.floats(1e-9, 0.99), st.integers(0, 2**32 - 1))
def test_holds_out_the_number_of_rows_asked_for(rows: int, share: float, seed: int) -> None:
    chosen = Settings(test_share=share, seed=seed)
    held_out, kept = split(chosen, rows, WHOLE)
    assert held_out.shape == (rows,)
    if share:
        assert abs(held_out.sum() - rows * share) <= 1
    else:
        assert held_out.sum() == min(rows, 20)
    np.testing.assert_array_equal(held_out, split(chosen, rows, WHOLE)[0])
    np.testing.assert_array_equal(kept, ~held_out)


@given(
    cuts=st.lists(st.integers(0, 150_000), min_size=1, max_size=5),
    share=st.sampled_from([0.0, 0.001, 0.2, 0.7]),
    keeping=st.sampled_from([100, 60_000, 1_000_000]),
)
@settings(max_examples=15)
def test_shards_are_split_like_the_whole(cuts: list[int], share: float, keeping: int) -> None:
    total = 150_000
    chosen = Settings(test_share=share, test_rows=50_000, seed=3, kept_rows=keeping)
    edges = [0, *sorted(cuts), total]
    shards = [
        split(
            chosen,
            stop - start,
            Shard("", start, stop - start, min(total - stop, 50_000), kept_share(total, chosen)),
        )
        for start, stop in pairwise(edges)
    ]
    for part, whole in zip(zip(*shards, strict=True), split(chosen, total, WHOLE), strict=True):
        np.testing.assert_array_equal(np.concatenate(part), whole)


@given(st.integers(0, 9000), st.integers(0, 9000), st.floats(0.001, 0.99), st.integers(0, 2**32 - 1))
def test_adding_rows_does_not_change_the_earlier_split(rows: int, more: int, share: float, seed: int) -> None:
    chosen = Settings(test_share=share, seed=seed)
    before, after = split(chosen, rows, WHOLE)[0], split(chosen, rows + more, WHOLE)[0]
    np.testing.assert_array_equal(before, after[:rows])


def test_held_out_rows_are_spread_evenly_and_randomly() -> None:
    held_out, _ = split(Settings(test_share=0.25), 200_000, WHOLE)
    assert held_out.reshape(10, -1).mean(axis=1) == pytest.approx(0.25, abs=1e-3)
    places = np.bincount(np.flatnonzero(held_out) % 4) / 50_000
    assert places == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("share", "held_out"), [(0.0, 20), (0.25, 50_000)])
def test_keeps_a_sample_of_many_rows(share: float, held_out: int) -> None:
    tested, kept = split(Settings(test_share=share, kept_rows=1600), 200_000, WHOLE)
    assert tested.sum() == held_out
    # 1600 of 200,000 rows gives a share of 1/128, which is 1563 rows less those held out.
    assert kept.sum() == pytest.approx(1563 * (1 - share), abs=60)
    assert not (tested & kept).any()
    assert kept[:100_000].sum() == pytest.approx(kept.sum() / 2, abs=60)


def test_sample_does_not_change_until_the_rows_double() -> None:
    chosen = Settings(kept_rows=1000)
    assert [kept_share(rows, chosen) for rows in (0, 1000, 1001, 2000, 2001)] == [1, 1, 1 / 2, 1 / 2, 1 / 4]
    few, many = (split(chosen, rows, WHOLE)[1] for rows in (1100, 2000))
    np.testing.assert_array_equal(few[:1080], many[:1080])


@pytest.mark.parametrize(
    ("order", "rows", "held_out"),
    [
        ([5, 1, 4, 2, 3], 2, [5, 4]),
        ([3, 1, 3, 2, 3], 2, [3, 3, 3]),
        ([1, np.nan, 3, 2, np.nan], 1, [3]),
        ([1, 1, 1], 2, [1, 1, 1]),
        ([1, 2], 5, [1, 2]),
        ([np.nan, np.nan], 2, []),
    ],
)
def test_holds_out_the_rows_with_the_largest_values(
    order: list[float], rows: int, held_out: list[float]
) -> None:
    """Rows with equal values are on the same side, and those without a value are not held out."""
    values = np.array(order, dtype=float)
    mask, kept = split(Settings(order="day", test_rows=rows), values.size, WHOLE, values)
    assert values[mask].tolist() == held_out
    np.testing.assert_array_equal(kept, ~mask)


def test_holds_out_a_share_by_an_order() -> None:
    order = np.random.default_rng(0).permutation(100).astype(float)
    mask, _ = split(Settings(order="day", test_share=0.3), 100, WHOLE, order)
    assert sorted(order[mask]) == list(range(70, 100))


def test_a_shard_holds_out_by_the_value_that_was_planned() -> None:
    chosen, order = Settings(order="day", test_rows=2), np.array([1.0, 2.0, 3.0])
    assert split(chosen, 3, Shard("", rows=3, cut=3.0), order)[0].tolist() == [False, False, True]
    assert not split(chosen, 3, Shard("", rows=3), order)[0].any()
    assert first_held_out(order, chosen) == 2.0


def test_groups_are_held_out_as_a_whole_and_stay_so() -> None:
    draws = np.array([group_draw(f"person {number}", 0) for number in range(1000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.03)
    few, more = Settings(group="person", test_share=0.2), Settings(group="person", test_share=0.4)
    first, second = (split(chosen, 1000, WHOLE, draws)[0] for chosen in (few, more))
    assert first.mean() == pytest.approx(0.2, abs=0.04)
    assert second[first].all()
    # A literal value, so that a split does not change unnoticed.
    assert group_draw("person 1", 0) == 0.7219609116591421
    assert group_draw("person 1", 0) != group_draw("person 1", 1)
