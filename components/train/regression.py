"""Linear regression by gradient descent, as a scikit-learn estimator."""

from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from components.train.descent import Constant, Descent
from components.train.losses import Losses
from components.train.moments import Moments
from components.train.quadratic import Quadratic


class SimpleLinearRegression(RegressorMixin, BaseEstimator):
    """Linear regression y = Wx + b, fitted by gradient descent on the mean squared error.

    Parameters
    ----------
    iterations : int, default=15000
        The number of steps.

    lr : float, default=0.1
        The learning rate.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        The weights, in units of the target per unit of the feature.

    intercept_ : float
        The prediction where every feature is zero.

    n_iter_ : int
        The number of steps taken.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit, where X has feature names that are all strings.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "iterations": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, iterations: int = 15000, lr: float = 0.1) -> None:
        self.iterations = iterations
        self.lr = lr

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,)
            Target values.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        dtypes = [np.float64, np.float32]
        X, y = validate_data(
            self,
            X,
            y,
            validate_separately=(
                {"dtype": dtypes, "ensure_all_finite": False},
                {"dtype": dtypes, "ensure_all_finite": False, "ensure_2d": False},
            ),
        )
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        moments = Moments.of(X, y, sample_weight)
        if not moments.finite:
            # The scan is for its message: the moments have read every value already.
            validate_data(self, X, y, y_numeric=True)
        self._descend(moments, X.dtype)
        return self

    def _descend(self, moments: Moments, dtype: Any) -> None:
        quadratic = Quadratic.of(moments, standardize=True)
        descent = Descent.on(quadratic, Constant(self.lr), np.zeros(moments.features + 1))
        largest = descent.eigenvalues.max()
        if not self.lr * largest < 2:
            raise ValueError(
                f"Descent diverges at the learning rate lr={self.lr:g}: on this data the largest stable one "
                f"is just below {2 / largest:.6g}."
            )
        self.n_iter_ = self.iterations
        weights, self.intercept_ = quadratic.fold(descent.point(self.n_iter_))
        self.coef_ = weights.astype(dtype, copy=False)
        self._path = descent
        self._target_exponent = quadratic.exponent

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict using the linear model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted values.
        """
        check_is_fitted(self)
        return self.__predict(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    @property
    def losses(self) -> Losses:
        """The loss before the first step and after each one: a lazy sequence of n_iter_ + 1 losses."""
        check_is_fitted(self)
        return Losses(partial(self.__loss, self._path, 2 * self._target_exponent), range(self.n_iter_ + 1))

    @property
    def W(self) -> NDArray[Any]:  # noqa: N802
        """The weights as a row, of shape (1, n_features)."""
        check_is_fitted(self)
        return self.coef_[None, :]

    @property
    def b(self) -> float:
        """The intercept."""
        check_is_fitted(self)
        return self.intercept_

    def __predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return X @ self.coef_ + self.coef_.dtype.type(self.intercept_)

    @staticmethod
    def __loss(path: Descent, exponent: int, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.ldexp(path.loss(steps), exponent)
