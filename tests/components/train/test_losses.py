"""The losses: a sequence computed when it is read."""

from typing import Any

import numpy as np
import pytest

from components.train.regression import SimpleLinearRegression


def test_losses_behave_like_a_list_of_any_length(diabetes: Any) -> None:
    losses = SimpleLinearRegression(10**15).fit(*diabetes).losses
    assert len(losses) == 10**15 + 1
    assert losses[0] == pytest.approx(np.mean(diabetes[1] ** 2))
    assert losses[-1] == losses[10**15] <= losses[1] < losses[0]
    few = losses[:5]
    assert few[::-1][0] == few[4]
    assert list(few) == np.asarray(few).tolist() == [losses[k] for k in range(5)]
    assert np.asarray(few, dtype=np.float32).dtype == np.float32
    with pytest.raises(IndexError):
        few[5]


def test_losses_accept_an_array_of_indices(diabetes: Any) -> None:
    losses = SimpleLinearRegression(10**15).fit(*diabetes).losses
    wanted = np.array([10**15, 3, -1, 0, 3])
    assert losses[wanted].tolist() == [losses[int(index)] for index in wanted]
    assert losses[np.array([], dtype=np.int64)].shape == (0,)
    with pytest.raises(IndexError):
        losses[np.array([10**15 + 1])]


def test_losses_do_not_change_when_the_model_is_fitted_again(diabetes: Any) -> None:
    X, y = diabetes
    model = SimpleLinearRegression(10).fit(X, y)
    losses = model.losses
    before = list(losses)
    model.fit(X, y * 2)
    assert list(losses) == before
