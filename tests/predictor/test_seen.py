"""The scorer records the rows and values of each request."""

import numpy as np
import pytest

from predictor.errors import InvalidInput
from predictor.feedback.capture import CapturingScorer, called, capture_predictions
from predictor.model.artifact import LinearModel
from predictor.model.scorer import Scorer


@pytest.fixture
def scorer(three_features: LinearModel) -> CapturingScorer:
    return CapturingScorer(three_features)


def test_records_rows_and_values_in_order(scorer: CapturingScorer, three_features: LinearModel) -> None:
    plain = Scorer(three_features)
    X = np.arange(6.0).reshape(2, 3)
    with capture_predictions() as seen:
        assert scorer.row([1.0, 2.0, 3.0]) == plain.row([1.0, 2.0, 3.0])
        assert scorer.rows(X).tolist() == plain.rows(X).tolist()
    assert seen.rows.tolist() == [[1.0, 2.0, 3.0], *X.tolist()]
    assert seen.values.tolist() == [plain.row([1.0, 2.0, 3.0]), *plain.rows(X).tolist()]


def test_records_nothing_outside_of_watching(scorer: CapturingScorer) -> None:
    with capture_predictions() as seen:
        pass
    scorer.row([1.0, 2.0, 3.0])
    called("nobody")
    assert not seen
    assert seen.id is None


def test_does_not_record_refused_rows(scorer: CapturingScorer) -> None:
    with capture_predictions() as seen, pytest.raises(InvalidInput):
        scorer.rows(np.array([[np.nan, 0.0, 0.0]]))
    assert not seen


def test_called_sets_the_id_of_the_innermost_request() -> None:
    with capture_predictions() as outer:
        with capture_predictions() as inner:
            called("b")
        called("a")
    assert (outer.id, inner.id) == ("a", "b")
