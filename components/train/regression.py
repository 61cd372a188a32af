"""Linear regression by gradient descent, as a scikit-learn estimator."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted, validate_data

from components.data.moments import Moments
from components.train.base import GradientDescentRegressor
from components.train.fitting import Stopping
from components.train.inputs import DTYPES, validated
from components.train.losses import Losses, Path
from components.train.rates import Rate
from components.train.stochastic import MiniBatches


class SimpleLinearRegression(GradientDescentRegressor):
    """Linear regression y = Wx + b, fitted by gradient descent on the mean squared error.

    The objective function being minimised is::

        1 / n_samples * ||y - Xw - b||^2_2
        + 2 * alpha * l1_ratio * ||w||_1
        + alpha * (1 - l1_ratio) * ||w||^2_2

    which is twice that of :class:`~sklearn.linear_model.ElasticNet` and
    :class:`~sklearn.linear_model.SGDRegressor`, so that the same `alpha` means the same model. With
    `sample_weight`, n_samples is the sum of the weights.

    One pass over the data gives their moments, and from these every iterate over the whole data follows
    exactly: 15 million steps cost as much as 15.

    Parameters
    ----------
    iterations : int or None, default=15000
        The number of steps over the whole data, or of epochs with a `batch_size`.
        Values must be in the range `[1, inf)`. None takes as many steps as lead to the minimum, to the last
        digit. It leaves the weights at zero along combinations of features that hardly vary (see
        `unresolved_`): the number of steps decides how far rounding would carry them. With an l1 penalty it
        takes at most 100,000.

    lr : float, default=0.1
        The learning rate of the first step: what the gradient of the mean squared error is multiplied with.
        :class:`~sklearn.linear_model.SGDRegressor` halves the squared error, so that its `eta0` takes steps
        of the same length as ``lr = eta0 / 2``. With ``standardize=True`` it has no unit and 0.1 is stable as
        long as the largest eigenvalue of the features' correlation matrix is below 10; otherwise its unit is
        that of one over the square of the features. Ignored with ``learning_rate='auto'``.
        Values must be in the range `(0.0, inf)`.

    penalty : {'l2', 'l1', 'elasticnet'} or None, default=None
        The penalty on the weights (of the standardised features, with ``standardize=True``). The intercept
        has none. With 'l1' and 'elasticnet' each step is followed by a proximal step; descent ends after
        `iterations` steps, or by `tol`, or where steps change nothing but rounding. Only in the last case is
        that the minimum for certain.

    alpha : float, default=0.0001
        The factor of the penalty. Values must be in the range `[0.0, inf)`.

    l1_ratio : float, default=0.15
        The share of l1 in the penalty 'elasticnet'. Values must be in the range `[0.0, 1.0]`.

    learning_rate : {'constant', 'invscaling', 'auto'}, default='constant'
        The learning rate schedule:

        - 'constant': `lr` at every step;
        - 'invscaling': ``lr / t ** power_t`` at step t;
        - 'auto': the inverse of the Hessian's largest eigenvalue; in mini-batches half the inverse of their
          expected smoothness [2]_.

    power_t : float, default=0.25
        The exponent of 'invscaling'. Values must be in the range `[0.0, inf)`.

    batch_size : int or None, default=None
        The number of rows a step sees. None is the whole data. Otherwise the rows are shuffled before every
        epoch, as in :class:`~sklearn.linear_model.SGDRegressor`. Values must be in the range `[1, inf)`.

    tol : float or None, default=None
        Stop when a step (an epoch, in mini-batches) has lowered the loss by less than `tol` for
        `n_iter_no_change` times in a row. The unit is that of the squared target. None never stops early.

    n_iter_no_change : int, default=5
        See `tol`. Values must be in the range `[1, inf)`.

    standardize : bool, default=True
        Whether to descend on features centred and divided by their deviation; the result is folded back.

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous call instead of zero.

    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows in mini-batches.

    verbose : int, default=0
        Whether to print the loss on the way.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        The weights, in units of the target per unit of the feature.

    intercept_ : float
        The prediction where every feature is zero, in units of the target.

    n_iter_ : int
        The number of steps taken, or of epochs in mini-batches.

    t_ : int
        The number of updates of the weights since the start.

    gap_ : float
        How far the objective is above its minimum, in squared units of the target; with an l1 penalty, an
        upper bound of that.

    unresolved_ : ndarray of shape (n_unresolved, n_features)
        The combinations of the standardised features, each of length one, along which the rows do not vary as
        far as rounding lets one know, such as that of a feature and its copy. The weights have no part along
        them.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when X has feature names that are all strings.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Where the steps end, without the steps.
    sklearn.linear_model.SGDRegressor : Other losses, a row at a time.

    Notes
    -----
    Along an eigenvector of the Hessian with eigenvalue λ, k steps at the rate η move by (1 - (1 - ηλ)^k) / λ
    times the first gradient. Moments of parts merge pairwise [1]_; so does :meth:`partial_fit`.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating formulae and a pairwise algorithm for
       computing sample variances", 1979.
    .. [2] R. M. Gower et al., "SGD: general analysis and improved rates", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from components.train.regression import SimpleLinearRegression
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> y = np.array([1.0, 3.0, 5.0, 7.0])
    >>> model = SimpleLinearRegression().fit(X, y)
    >>> model.W.round(6), round(model.b, 6)
    (array([[2.]]), 1.0)
    >>> model.predict([[4.0]]).round(6)
    array([9.])
    >>> model.losses[0], len(model.losses)
    (21.0, 15001)
    """

    def __init__(
        self,
        iterations: int | None = 15000,
        lr: float = 0.1,
        *,
        penalty: str | None = None,
        alpha: float = 1e-4,
        l1_ratio: float = 0.15,
        learning_rate: str = "constant",
        power_t: float = 0.25,
        batch_size: int | None = None,
        tol: float | None = None,
        n_iter_no_change: int = 5,
        standardize: bool = True,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.iterations = iterations
        self.lr = lr
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.batch_size = batch_size
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.standardize = standardize
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

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
            Weights of the samples. None means 1 for each.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If the data are malformed, or descent diverges; the message then names the largest stable rate.
            The estimator is left as it was.
        """
        with self._unchanged_on_error():
            data = validated(self, X, y, sample_weight, reset=True)
            objective = self._objective(data.moments)
            start = self._present_point(objective) if self.warm_start else objective.zero
            if self.batch_size is None or self.batch_size >= data.y.size:
                outcome = self._full_batch(objective, start)
            else:
                outcome = self._mini_batches(self.__sgd, data, objective, start, self._stopping(objective))
            return self._settle(data.moments, objective, outcome, data.X.dtype.type)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to further rows, beside those of earlier calls.

        Without a `batch_size` the model is then the one that `fit` would give on all rows seen so far,
        whatever their order and their split. Where `fit` would refuse `lr` because descent diverges on so few
        rows, a ``ConvergenceWarning`` says so, and the weights are those of ``learning_rate='auto'`` until a
        later call. With a `batch_size`, an epoch is run over these rows, standardised by the moments of all
        rows seen so far. Rows that are refused change nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,)
            Target values.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None means 1 for each.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        first = not hasattr(self, "_moments")
        with self._unchanged_on_error():
            data = validated(self, X, y, sample_weight, reset=first)
            moments = data.moments if first else self._moments.merge(data.moments)
            objective = self._objective(moments)
            if self.batch_size is None:
                outcome = self._full_batch_so_far(objective)
            else:
                start, once = self._present_point(objective), Stopping(limit=1, tol=None, patience=1)
                step = 0 if first else self.t_
                outcome = self._mini_batches(self.__sgd, data, objective, start, once, step=step)
            return self._settle(moments, objective, outcome, data.X.dtype.type)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_moments(self, moments: Moments, feature_names: Sequence[str] | None = None) -> Self:
        """Fit the model to rows of which only the moments are known.

        Parameters
        ----------
        moments : Moments
            Of one dataset, or merged from those of its parts.

        feature_names : sequence of str, default=None
            Names of the features.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        if self.batch_size is not None:
            raise ValueError("Mini-batches need the rows: with moments alone, batch_size must be None.")
        if not moments.finite:
            raise ValueError("The moments are not finite.")
        with self._unchanged_on_error():
            objective = self._objective(moments)
            outcome = self._full_batch(
                objective, self._present_point(objective) if self.warm_start else objective.zero
            )
            self._name_features(moments.features, feature_names)
            return self._settle(moments, objective, outcome, np.float64)

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
        return self.__predict(validate_data(self, X, dtype=DTYPES, reset=False))

    @property
    def losses(self) -> Losses:
        """The objective before the first step and after each: a lazy sequence of length n_iter_ + 1.

        In mini-batches it is that of all rows after each epoch.
        """
        check_is_fitted(self)
        return Losses(partial(self.__loss, self._path, self._exponent), range(self.n_iter_ + 1))

    @property
    def W(self) -> NDArray[Any]:  # noqa: N802 - the field's name
        """The weights as a row, of shape (1, n_features)."""
        check_is_fitted(self)
        return self.coef_[np.newaxis, :]

    @property
    def b(self) -> float:
        """The intercept."""
        check_is_fitted(self)
        return self.intercept_

    def __predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(X @ self.coef_ + self.intercept_)

    @staticmethod
    def __loss(path: Path, exponent: int, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """The losses after so many steps of a path, on targets in units of ``2**exponent``."""
        return np.ldexp(path.loss(steps), 2 * exponent)

    def __sgd(
        self, batches: MiniBatches, rate: Rate, random: np.random.Generator, point: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """One epoch: a step for each mini-batch of the shuffled rows."""
        for rows in batches.shuffled(random):
            steps = self.t_ + np.arange(1, batches.count(rows) + 1)
            point = batches.descend(rows, point, rate.at(steps))
            self.t_ += steps.size
        return point
