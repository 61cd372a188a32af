"""What the estimator accepts, in scikit-learn's words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from components.data.moments import Moments

DTYPES = (np.float64, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Valid training data.

    Attributes:
        X: shape (n, d), float64 or float32.
        y: shape (n,), float64 or float32.
        weight: shape (n,), not negative, or None for ones.
        moments: of these.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    moments: Moments

    @property
    def relative_weight(self) -> NDArray[np.float64] | None:
        """The weights over their mean."""
        return None if self.weight is None else self.weight / self.weight.mean()


def validated(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
) -> Data:
    """Check training data and take their moments.

    Whether all values are finite is read off the moments; only if they are not does scikit-learn scan the
    data, for its message.

    Raises:
        ValueError: the data are malformed.
    """
    checks = {"dtype": DTYPES, "ensure_all_finite": False}
    rows, targets = validate_data(
        estimator, X, y, reset=reset, validate_separately=(checks, {**checks, "ensure_2d": False})
    )
    targets = column_or_1d(targets, warn=True)
    check_consistent_length(rows, targets)
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    moments = Moments.of(rows, targets, weight)
    if not moments.finite:
        validate_data(estimator, X, y, reset=False)
    return Data(rows, targets, weight, moments)
