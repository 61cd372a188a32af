from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.settings import Settings


def test_holds_out_the_last_twenty_rows_by_default() -> None:
    held_out, kept = Settings().split(442)
    assert held_out.sum() == 20
    assert held_out[-20:].all()
    np.testing.assert_array_equal(kept, ~held_out)


def test_holds_out_a_reproducible_random_share() -> None:
    held_out, _ = Settings(test_share=0.3, seed=7).split(10)
    # Literal rows, so that a new release of numpy can't change the split unnoticed.
    assert np.flatnonzero(held_out).tolist() == [3, 5, 9]
    assert (held_out != Settings(test_share=0.3, seed=8).split(10)[0]).any()


@given(st.integers(0, 500), st.just(0.0) | st.floats(1e-9, 0.99), st.integers(0, 2**32 - 1))
def test_holds_out_the_number_of_rows_asked_for(rows: int, share: float, seed: int) -> None:
    chosen = Settings(test_share=share, seed=seed)
    held_out, kept = chosen.split(rows)
    assert held_out.shape == (rows,)
    if share:
        assert abs(held_out.sum() - rows * share) <= 1
    else:
        assert held_out.sum() == min(rows, 20)
    np.testing.assert_array_equal(held_out, chosen.split(rows)[0])
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
        chosen.split(stop - start, start, min(total - stop, 50_000), chosen.kept_share(total))
        for start, stop in pairwise(edges)
    ]
    for part, whole in zip(zip(*shards, strict=True), chosen.split(total), strict=True):
        np.testing.assert_array_equal(np.concatenate(part), whole)


@given(st.integers(0, 9000), st.integers(0, 9000), st.floats(0.001, 0.99), st.integers(0, 2**32 - 1))
def test_adding_rows_does_not_change_the_earlier_split(rows: int, more: int, share: float, seed: int) -> None:
    chosen = Settings(test_share=share, seed=seed)
    before, after = chosen.split(rows)[0], chosen.split(rows + more)[0]
    np.testing.assert_array_equal(before, after[:rows])


def test_held_out_rows_are_spread_evenly_and_randomly() -> None:
    held_out, _ = Settings(test_share=0.25).split(200_000)
    assert held_out.reshape(10, -1).mean(axis=1) == pytest.approx(0.25, abs=1e-3)
    places = np.bincount(np.flatnonzero(held_out) % 4) / 50_000
    assert places == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("share", "held_out"), [(0.0, 20), (0.25, 50_000)])
def test_keeps_a_sample_of_many_rows(share: float, held_out: int) -> None:
    tested, kept = Settings(test_share=share, kept_rows=1600).split(200_000)
    assert tested.sum() == held_out
    # 1600 of 200,000 rows gives a share of 1/128, which is 1563 rows less those held out.
    assert kept.sum() == pytest.approx(1563 * (1 - share), abs=60)
    assert not (tested & kept).any()
    assert kept[:100_000].sum() == pytest.approx(kept.sum() / 2, abs=60)


def test_sample_does_not_change_until_the_rows_double() -> None:
    chosen = Settings(kept_rows=1000)
    assert [chosen.kept_share(rows) for rows in (0, 1000, 1001, 2000, 2001)] == [1, 1, 1 / 2, 1 / 2, 1 / 4]
    few, many = (chosen.split(rows)[1] for rows in (1100, 2000))
    np.testing.assert_array_equal(few[:1080], many[:1080])


def test_defaults_and_open_ranges_are_valid() -> None:
    assert Settings().problems() == []
    assert Settings(ranges={"bmi": [None, 5], "target": (0, None)}, units={"target": "mg"}).problems() == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": []}, "no feature is named"),
        ({"features": "bmi"}, "features must be a list of names, not 'bmi'"),
        ({"features": ["bmi", ""]}, "'' is not the name of a column"),
        ({"features": [2.0]}, "2.0 is not the name of a column"),
        ({"target": None}, "None is not the name of a column"),
        ({"features": ["bmi", "age", "bmi"]}, "feature 'bmi' is named 2 times"),
        (
            {"features": ["_id"]},
            "feature '_id': names that begin with an underscore are reserved",
        ),
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
        (
            {"features": ["*", "bmi"]},
            "the feature '*' stands for all columns; name it alone, or name columns",
        ),
        ({"exclude": ["id"]}, 'exclude is of use only with all columns as features: features=["*"]'),
        (
            {"types": {"bmmi": "category"}},
            "types names 'bmmi', which is neither a feature nor the target. Is 'bmi'",
        ),
        (
            {"types": {"bmi": "categry"}},
            "the type of 'bmi' must be one of number, boolean, category, not 'categry'",
        ),
        ({"types": {"target": "number"}}, "types names the target 'target', which is always a number"),
        ({"types": {"bmi": "boolean"}, "ranges": {"bmi": [0, 1]}}, "ranges names 'bmi', which is no number"),
        ({"missing": "median"}, "missing must be one of fail, drop, mean, not 'median'. Is 'mean' meant?"),
        ({"unknown_categories": "x"}, "unknown_categories must be one of fail, ignore, not 'x'"),
        ({"max_categories": 1}, "max_categories must be at least 2, not 1"),
        ({"decimal": ";"}, "decimal must be '.' or ',', not ';'"),
        ({"features": [f"a long name {n}" for n in range(5000)]}, 'a step takes 65,536; add features=["*"]'),
        ({"duplicates": "ignore"}, "duplicates must be one of report, drop, fail, not 'ignore'"),
    ],
)
def test_reports_an_invalid_parameter(parameters: dict[str, Any], message: str) -> None:
    (problem,) = Settings(**parameters).problems()
    assert message in str(problem)


def test_reports_all_invalid_parameters_together() -> None:
    assert len(Settings(features=["a", "a"], target="a", test_rows=0, seed=-1).problems()) == 4
