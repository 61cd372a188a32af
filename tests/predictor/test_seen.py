"""What a request had predicted is noted at the model function."""

import numpy as np
import pytest

from predictor.artifact import LinearModel
from predictor.errors import InvalidInput
from predictor.scorer import Scorer
from predictor.seen import WatchedScorer, called, watching


@pytest.fixture
def scorer(three_features: LinearModel) -> WatchedScorer:
    return WatchedScorer(three_features)


def test_rows_and_values_are_noted_in_their_order(scorer: WatchedScorer, three_features: LinearModel) -> None:
    plain = Scorer(three_features)
    X = np.arange(6.0).reshape(2, 3)
    with watching() as seen:
        assert scorer.row([1.0, 2.0, 3.0]) == plain.row([1.0, 2.0, 3.0])
        assert scorer.rows(X).tolist() == plain.rows(X).tolist()
    assert seen.rows.tolist() == [[1.0, 2.0, 3.0], *X.tolist()]
    assert seen.values.tolist() == [plain.row([1.0, 2.0, 3.0]), *plain.rows(X).tolist()]


def test_nothing_is_noted_where_nobody_watches(scorer: WatchedScorer) -> None:
    with watching() as seen:
        pass
    scorer.row([1.0, 2.0, 3.0])
    called("nobody")
    assert not seen
    assert seen.id is None


def test_what_is_refused_is_not_noted(scorer: WatchedScorer) -> None:
    with watching() as seen, pytest.raises(InvalidInput):
        scorer.rows(np.array([[np.nan, 0.0, 0.0]]))
    assert not seen


def test_a_request_may_name_itself() -> None:
    with watching() as outer:
        with watching() as inner:
            called("b")
        called("a")
    assert (outer.id, inner.id) == ("a", "b")
