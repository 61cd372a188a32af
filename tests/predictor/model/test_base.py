"""What all kinds of model share."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from predictor.errors import InvalidInput
from predictor.model import kinds
from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from tests.support.models import TARGET, even_reference

AGE = Input("age", 18.0, 90.0)
MEMBER = Input("member", 0, 1, type="boolean")
CITY = Input("city", 0, 2, type="category", categories=("Bern", "Genf", "Chur"), accepts_unknown=True)


class Largest(Model):
    """Predicts the largest value of a row, so that an infinity or NaN need not show in the prediction."""

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.nanmax(X, axis=1)

    def summary(self) -> str:
        return "The largest value."

    def parameters(self) -> dict[str, Any]:
        return {}

    @classmethod
    def of(
        cls, parameters: dict[str, Any], inputs: Sequence[Input], target: Column, reference: Reference
    ) -> Self:
        return cls(inputs, target, reference)


def largest(*inputs: Input) -> Largest:
    return Largest(inputs, TARGET, even_reference(inputs, TARGET))


def test_a_kind_is_named_after_its_module() -> None:
    assert LinearModel.kind == "linear"
    assert kinds.find("linear") is LinearModel
    assert Largest.kind == "test_base"


def test_only_a_kind_with_contributions_explains() -> None:
    assert LinearModel.explains
    assert not Largest.explains
    with pytest.raises(NotImplementedError):
        largest(AGE).contributions(np.zeros((1, 1)))


def test_knows_which_models_have_plain_numbers_alone() -> None:
    assert largest(AGE).plain
    assert not largest(AGE, MEMBER).plain


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_refuses_values_that_are_not_finite_whatever_the_prediction(rows: int, value: float) -> None:
    X = np.ones((rows, 2))
    X[-1, 1] = value
    with pytest.raises(InvalidInput, match=rf"instances\[{rows - 1}\]: {value} for member is not a finite"):
        largest(AGE, MEMBER).rows(X)


def test_a_row_with_a_value_that_is_not_finite_has_no_finite_prediction() -> None:
    assert largest(AGE, MEMBER).row([1.5, 1.0]) == 1.5
    assert not math.isfinite(largest(AGE, MEMBER).row([1.5, math.nan]))


def test_a_typical_row_has_means_and_most_frequent_values() -> None:
    codes = np.array([2.0, 1.0, 2.0, -1.0, -1.0, -1.0])
    features = {
        "age": Distribution.of_input(AGE, np.array([20.0, 40.0, 90.0])),
        "member": Distribution.of_input(MEMBER, np.array([0.0, 1.0, 1.0])),
        "city": Distribution.of_input(CITY, codes),
    }
    model = Largest((AGE, MEMBER, CITY), TARGET, Reference(6, features, Distribution.of(codes)))
    assert model.typical == (50.0, 1.0, 2.0)
    assert features["city"].edges == (-0.5, 0.5, 1.5)
    assert features["city"].proportions == (0.5, 0.0, 1 / 6, 1 / 3)


def test_models_are_equal_by_content() -> None:
    assert largest(AGE) == largest(AGE)
    assert largest(AGE) != largest(MEMBER)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_distribution_counts_every_value_once(values: list[float]) -> None:
    distribution = Distribution.of(np.array(values))
    assert math.isclose(sum(distribution.proportions), 1.0)
    assert len(distribution.proportions) == len(distribution.edges) + 1
    assert list(distribution.edges) == sorted(set(distribution.edges))


def test_distribution_of_many_values_has_ten_equal_shares() -> None:
    distribution = Distribution.of(np.random.default_rng(0).normal(size=10_000))
    np.testing.assert_allclose(distribution.proportions, np.full(10, 0.1), atol=1e-3)
