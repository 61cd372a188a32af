"""How good a model is, as its folder says it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from predictor.errors import InvalidInput
from predictor.model import evaluation
from predictor.model.evaluation import Evaluation

DIGEST = "0" * 64


def evaluated(n: int, seed: int = 0) -> Evaluation:
    generator = np.random.default_rng(seed)
    actual = generator.normal(10, 3, n)
    return Evaluation.of(
        actual,
        actual + generator.normal(0, 1, n),
        mean=10.0,
        digest=DIGEST,
        source="x.csv",
        created="2026-01-01",
    )


def test_errors_are_those_of_the_model_and_of_the_mean() -> None:
    found = Evaluation.of(
        np.array([1.0, 3.0]), np.array([1.0, 5.0]), mean=0.0, digest=DIGEST, source="", created=""
    )
    assert (found.model.rmse, found.model.mae) == (2**0.5, 1.0)
    assert (found.baseline.rmse, found.baseline.mae) == (5**0.5, 2.0)
    assert (found.ranks, found.residuals) == ((1, 2), (0.0, 2.0))


@pytest.mark.parametrize("n", [9, 88, 2000, 2001, 5000, 100_003])
def test_the_half_width_is_the_residual_of_the_conformal_rank(n: int) -> None:
    generator = np.random.default_rng(n)
    errors = generator.exponential(1, n)
    found = Evaluation.of(errors, np.zeros(n), mean=0.0, digest=DIGEST, source="", created="")
    rank = int(np.ceil(round((n + 1) * 0.9, 9)))
    exact = np.sort(errors)[rank - 1]
    next_kept = np.sort(errors)[min(n, rank + n // 2000 + 1) - 1]
    assert exact <= found.half_width(0.9) <= next_kept
    if n <= 2000:
        assert found.half_width(0.9) == exact


def test_intervals_hold_new_rows_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    held = []
    for _ in range(2000):
        errors = np.abs(generator.standard_t(3, 31))
        found = Evaluation.of(errors[:30], np.zeros(30), mean=0.0, digest=DIGEST, source="", created="")
        held.append(errors[30] <= found.half_width(0.9))
    # ceil(31 * 0.9) / 31 = 0.903; four standard errors of 2,000 draws are 0.027.
    assert 0.875 < np.mean(held) < 0.932


@pytest.mark.parametrize(("level", "needed"), [(0.9, 9), (0.95, 19), (0.99, 99)])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(level: float, needed: int) -> None:
    evaluated(needed).half_width(level)
    with pytest.raises(
        InvalidInput, match=f"{level} needs {needed} held-out rows; this model was evaluated on"
    ):
        evaluated(needed - 1).half_width(level)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_a_level_is_between_zero_and_one(level: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        evaluated(20).half_width(level)


def test_no_rows_and_errors_without_bound_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        evaluated(0)
    with pytest.raises(ValueError, match="beyond the range"):
        Evaluation.of(np.array([1e300]), np.array([-1e300]), mean=0.0, digest=DIGEST, source="", created="")


def test_what_is_written_is_read_back() -> None:
    found = evaluated(3000)
    assert evaluation.decode(evaluation.encode(found), DIGEST) == found


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"rows": 21},
        {"rows": 20.0},
        {"ranks": []},
        {"ranks": [True] * 20},
        {"residuals": [-1.0] * 20},
        {"residuals": ["1"] * 20},
        {"digest": 1},
        {"source": None},
        {"sha256": "0"},
        {"created": "2026-01-02"},
        {"model": {"rmse": 1.0, "mae": float("nan")}},
    ],
)
def test_a_changed_file_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(evaluation.encode(evaluated(20))) | change
    with pytest.raises((ValueError, TypeError)):
        evaluation.decode(json.dumps(document).encode(), DIGEST)


def test_an_evaluation_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="another model"):
        evaluation.decode(evaluation.encode(replace(evaluated(20), digest="1" * 64)), DIGEST)
