from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest.settings import Settings


def test_by_default_the_last_twenty_rows_are_held_out() -> None:
    held_out, kept = Settings().split(442)
    assert held_out.sum() == 20
    assert held_out[-20:].all()
    np.testing.assert_array_equal(kept, ~held_out)


def test_a_share_is_held_out_at_random_and_the_same_everywhere() -> None:
    held_out, _ = Settings(test_share=0.3, seed=7).split(10)
    # Written down, so that another release of numpy can't change it unseen.
    assert np.flatnonzero(held_out).tolist() == [0, 5, 8]
    assert (held_out != Settings(test_share=0.3, seed=8).split(10)[0]).any()


@given(st.integers(0, 500), st.floats(0, 0.99), st.integers(0, 2**32 - 1))
def test_as_many_rows_are_held_out_as_were_asked_for(rows: int, share: float, seed: int) -> None:
    chosen = Settings(test_share=share, seed=seed)
    held_out, kept = chosen.split(rows)
    assert held_out.shape == (rows,)
    assert held_out.sum() == (round(rows * share) if share > 0 else min(rows, 20))
    np.testing.assert_array_equal(held_out, chosen.split(rows)[0])
    np.testing.assert_array_equal(kept, ~held_out)


@given(
    cuts=st.lists(st.integers(0, 150_000), min_size=1, max_size=5),
    share=st.sampled_from([0.0, 0.001, 0.2]),
    keeping=st.sampled_from([100, 60_000, 1_000_000]),
)
@settings(max_examples=15)
def test_shards_are_split_as_one_piece_is(cuts: list[int], share: float, keeping: int) -> None:
    total = 150_000
    chosen = Settings(test_share=share, test_rows=50_000, seed=3, kept_rows=keeping)
    edges = [0, *sorted(cuts), total]
    shards = [chosen.split(stop - start, start, total) for start, stop in pairwise(edges)]
    for part, whole in zip(zip(*shards, strict=True), chosen.split(total), strict=True):
        np.testing.assert_array_equal(np.concatenate(part), whole)


@pytest.mark.parametrize(("share", "held_out"), [(0.0, 20), (0.25, 50_000)])
def test_of_many_training_rows_a_part_is_kept(share: float, held_out: int) -> None:
    tested, kept = Settings(test_share=share, kept_rows=1000).split(200_000)
    assert tested.sum() == held_out
    assert 990 <= kept.sum() <= 1000
    assert not (tested & kept).any()
    assert kept[:100_000].sum() == pytest.approx(500, abs=60)


def test_the_defaults_make_sense() -> None:
    assert Settings().problems() == []
    assert Settings(ranges={"bmi": [None, 5], "target": (0, None)}, units={"target": "mg"}).problems() == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"features": []}, "no feature is named"),
        ({"features": "bmi"}, "features must be a list of names, not 'bmi'"),
        ({"features": ["bmi", ""]}, "'' is not the name of a column"),
        ({"features": [2.0]}, "2.0 is not the name of a column"),
        ({"target": None}, "None is not the name of a column"),
        ({"features": ["bmi", "age", "bmi"]}, "feature 'bmi' is named 2 times"),
        ({"features": ["bmi", "target"]}, "the target 'target' is among the features"),
        ({"units": {"height": "cm"}}, "units names 'height', which is neither a feature nor the target"),
        ({"ranges": {"height": [0, 1]}}, "ranges names 'height', which is neither a feature nor the target"),
        ({"ranges": {"bmi": [2, 1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": [1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": "12"}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": ["1", "2"]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": [float("nan"), 1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"test_share": 1}, "test_share must be at least 0 and less than 1, not 1"),
        ({"test_share": -0.1}, "test_share must be at least 0"),
        ({"test_share": float("nan")}, "test_share must be at least 0"),
        ({"test_rows": 1}, "test_rows must be at least 2, not 1"),
        ({"kept_rows": 9}, "kept_rows must be at least 10, not 9"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"duplicates": "ignore"}, "duplicates must be one of report, drop, fail, not 'ignore'"),
    ],
)
def test_what_makes_no_sense_is_said(parameters: dict[str, Any], said: str) -> None:
    (problem,) = Settings(**parameters).problems()
    assert said in str(problem)


def test_everything_that_makes_no_sense_is_said_at_once() -> None:
    assert len(Settings(features=["a", "a"], target="a", test_rows=0, seed=-1).problems()) == 4
