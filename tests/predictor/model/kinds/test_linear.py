from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.errors import InvalidInput
from predictor.model.inputs import UNKNOWN, Input
from predictor.model.kinds.linear import LinearModel
from tests.support.models import linear_model

finite = st.floats(-1e100, 1e100)

CITY = Input("city", 0, 2, type="category", categories=("Bern", "Genf", "Chur"), accepts_unknown=True)
MEMBER = Input("member", 0, 1, type="boolean")
AGE = Input("age", 18, 90, unit="years")


def of_numbers(weights: list[float], intercept: float = 0.0) -> LinearModel:
    return linear_model(weights, intercept, features=[f"x{i}" for i in range(len(weights))])


def mixed(effects: tuple[float, ...] = (1.0, 2.0, -4.0)) -> LinearModel:
    return linear_model((effects, 10.0, 0.5), 100.0, features=[CITY, MEMBER, AGE])


@given(data=st.data(), width=st.integers(1, 6), rows=st.integers(1, 20), intercept=finite)
def test_a_row_scores_the_same_alone_and_in_a_batch(
    data: Any, width: int, rows: int, intercept: float
) -> None:
    model = of_numbers(data.draw(st.lists(finite, min_size=width, max_size=width)), intercept)
    X = data.draw(hnp.arrays(np.float64, (rows, width), elements=finite))
    together = model.rows(X)
    assert [model.row(row) for row in X.tolist()] == model.few(X.tolist()) == together.tolist()
    assert [model.rows(X[i : i + 1])[0] for i in range(rows)] == together.tolist()
    assert model.rows(np.asfortranarray(X)).tolist() == together.tolist()


@given(X=hnp.arrays(np.float64, (5, 3), elements=finite))
def test_contributions_add_up_exactly_to_the_prediction(X: np.ndarray[Any, Any]) -> None:
    model = of_numbers([2.5, -3.0, 1e-3], 7.25)
    contributions = model.contributions(X)
    total = contributions[:, 0] + contributions[:, 1] + contributions[:, 2] + model.intercept
    np.testing.assert_array_equal(total, model.rows(X))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_error_names_row_and_feature_of_a_non_finite_value(value: float) -> None:
    X = np.zeros((10, 2))
    X[7, 1] = value
    with pytest.raises(InvalidInput, match=rf"instances\[7\]: {value} for x1 is not a finite number"):
        of_numbers([1.0, 0.0]).rows(X)


def test_error_names_the_row_of_an_overflowing_prediction() -> None:
    X = np.array([[1.0], [1e308]])
    with pytest.raises(InvalidInput, match=r"instances\[1\]: the prediction is beyond the range of a double"):
        of_numbers([10.0]).rows(X)


def test_a_category_contributes_its_effect_and_an_unknown_one_nothing() -> None:
    X = np.array([[0, 1, 20], [2, 0, 20], [UNKNOWN, 1, 20]], dtype=np.float64)
    assert mixed().rows(X).tolist() == [121.0, 106.0, 120.0]
    assert mixed().contributions(X)[:, 0].tolist() == [1.0, -4.0, 0.0]


@given(rows=st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 1), finite), min_size=1, max_size=5))
def test_a_row_with_categories_scores_the_same_alone_and_in_a_batch(
    rows: list[tuple[float, float, float]],
) -> None:
    model, X = mixed((0.1, 1e100, -3.3)), np.array(rows, dtype=np.float64)
    together = model.rows(X).tolist()
    assert [model.row(row) for row in X.tolist()] == together
    assert [model.rows(X[i : i + 1])[0] for i in range(len(X))] == together


def test_error_names_a_category_that_is_not_finite() -> None:
    for rows in (1, 3):
        X = np.zeros((rows, 3))
        X[-1, 0] = np.nan
        with pytest.raises(
            InvalidInput, match=rf"instances\[{rows - 1}\]: nan for city is not a finite number"
        ):
            mixed().rows(X)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        (((1.0, 2.0), 1.0, 1.0), 'input "city" has 3 categories and 2 effects'),
        ((1.0, 1.0, 1.0), 'input "city" has 3 categories and 0 effects'),
        (((1.0, 2.0, 3.0), (1.0,), 1.0), 'input "member" has 0 categories and 1 effects'),
        (((1.0, 2.0, 3.0), 1.0), "3 inputs, but 2 weights"),
    ],
)
def test_refuses_weights_that_do_not_fit_the_inputs(weights: tuple[Any, ...], reason: str) -> None:
    model = mixed()
    with pytest.raises(ValueError, match=reason):
        LinearModel(weights, 0.0, model.inputs, model.target, model.reference)


def test_describes_itself_in_words() -> None:
    assert of_numbers([2.0]).summary() == "A straight line from x0 to target."
    assert mixed().summary() == "A weighted sum of 3 inputs, for target."
    assert " ".join(mixed().formula()) == "target = effect of city + 10 × member + 0.5 × age + 100"  # noqa: RUF001
    (table,) = mixed().details()
    assert table.rows[0] == ("city: Bern", 1.0, "", "", "")
    assert table.rows[-2:] == (("age", 0.5, "years", 18, 90), ("Intercept", 100.0, "", "", ""))
