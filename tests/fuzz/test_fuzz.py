"""The short form of ``make fuzz``: the same cases in every run."""

import pytest

from tests.fuzz import __main__ as fuzz


@pytest.mark.parametrize("cases", [200, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("weights", "intercept"), fuzz.MODELS, ids=["one feature", "three features"])
def test_every_case_gets_a_correct_answer_and_memory_does_not_grow(
    weights: tuple[float, ...], intercept: float, cases: int
) -> None:
    with fuzz.serving(weights, intercept) as target:
        assert fuzz.run(target, cases, seed=1) >= 0.95 * cases
