from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.errors import InvalidInput
from predictor.model.scorer import Scorer
from tests.support.models import linear_model

finite = st.floats(-1e100, 1e100)


def scorer(weights: list[float], intercept: float = 0.0) -> Scorer:
    return Scorer(linear_model(weights, intercept, features=[f"x{i}" for i in range(len(weights))]))


@given(data=st.data(), width=st.integers(1, 6), rows=st.integers(1, 20), intercept=finite)
def test_a_row_scores_the_same_alone_and_in_a_batch(
    data: Any, width: int, rows: int, intercept: float
) -> None:
    model = scorer(data.draw(st.lists(finite, min_size=width, max_size=width)), intercept)
    X = data.draw(hnp.arrays(np.float64, (rows, width), elements=finite))
    together = model.rows(X)
    assert [model.row(row) for row in X.tolist()] == together.tolist()
    assert [model.rows(X[i : i + 1])[0] for i in range(rows)] == together.tolist()
    assert model.rows(np.asfortranarray(X)).tolist() == together.tolist()


@given(X=hnp.arrays(np.float64, (5, 3), elements=finite))
def test_contributions_add_up_exactly_to_the_prediction(X: np.ndarray[Any, Any]) -> None:
    model = scorer([2.5, -3.0, 1e-3], 7.25)
    contributions = model.contributions(X)
    total = contributions[:, 0] + contributions[:, 1] + contributions[:, 2] + model.intercept
    np.testing.assert_array_equal(total, model.rows(X))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_error_names_row_and_feature_of_a_non_finite_value(value: float) -> None:
    X = np.zeros((10, 2))
    X[7, 1] = value
    with pytest.raises(InvalidInput, match=rf"instances\[7\]: {value} for x1 is not a finite number"):
        scorer([1.0, 0.0]).rows(X)


def test_error_names_the_row_of_an_overflowing_prediction() -> None:
    X = np.array([[1.0], [1e308]])
    with pytest.raises(InvalidInput, match=r"instances\[1\]: the prediction is beyond the range of a double"):
        scorer([10.0]).rows(X)
