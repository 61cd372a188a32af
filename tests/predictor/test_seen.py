"""What a request had predicted is noted at the model function."""

import numpy as np
import pytest

from predictor.errors import InvalidInput
from predictor.feedback.capture import CapturingScorer, called, capture_predictions
from predictor.model.artifact import LinearModel
from predictor.model.scorer import Scorer


@pytest.fixture
def scorer(three_features: LinearModel) -> CapturingScorer:
    return CapturingScorer(three_features)


def test_rows_and_values_are_noted_in_their_order(
    scorer: CapturingScorer, three_features: LinearModel
) -> None:
    plain = Scorer(three_features)
    X = np.arange(6.0).reshape(2, 3)
    with capture_predictions() as seen:
        assert scorer.row([1.0, 2.0, 3.0]) == plain.row([1.0, 2.0, 3.0])
        assert scorer.rows(X).tolist() == plain.rows(X).tolist()
    assert seen.rows.tolist() == [[1.0, 2.0, 3.0], *X.tolist()]
    assert seen.values.tolist() == [plain.row([1.0, 2.0, 3.0]), *plain.rows(X).tolist()]


def test_nothing_is_noted_where_nobody_watches(scorer: CapturingScorer) -> None:
    with capture_predictions() as seen:
        pass
    scorer.row([1.0, 2.0, 3.0])
    called("nobody")
    assert not seen
    assert seen.id is None


def test_what_is_refused_is_not_noted(scorer: CapturingScorer) -> None:
    with capture_predictions() as seen, pytest.raises(InvalidInput):
        scorer.rows(np.array([[np.nan, 0.0, 0.0]]))
    assert not seen


def test_a_request_may_name_itself() -> None:
    with capture_predictions() as outer:
        with capture_predictions() as inner:
            called("b")
        called("a")
    assert (outer.id, inner.id) == ("a", "b")
