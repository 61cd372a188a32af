"""The private part of the estimator: from data to the fitted state."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from components.data.moments import Moments
from components.train.fitting import (
    DivergenceError,
    Outcome,
    Stopping,
    divergence,
    epochs,
    full_batch,
    penalties,
    stable_rate,
)
from components.train.inputs import Data
from components.train.objective import Objective
from components.train.rates import Rate
from components.train.stochastic import MiniBatches

Floats = NDArray[np.float64]


class GradientDescentRegressor(RegressorMixin, BaseEstimator):
    """The steps that the public methods share; parameters and attributes are documented in the subclass."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "iterations": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "learning_rate": [StrOptions({"constant", "invscaling", "auto"})],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    iterations: int | None
    lr: float
    penalty: str | None
    alpha: float
    l1_ratio: float
    learning_rate: str
    power_t: float
    batch_size: int | None
    tol: float | None
    n_iter_no_change: int
    standardize: bool
    random_state: int | np.random.RandomState | None
    verbose: int
    coef_: NDArray[Any]
    intercept_: float
    n_iter_: int
    t_: int
    gap_: float
    unresolved_: Floats

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Leave the estimator as it was, fitted or not, if the fit inside fails."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _objective(self, moments: Moments) -> Objective:
        l2, l1 = penalties(self.penalty, self.alpha, self.l1_ratio)
        endless = self.iterations is None
        if endless and (self.batch_size is not None or self.learning_rate == "invscaling"):
            raise ValueError(
                "iterations=None is for full batches at a constant or automatic rate: "
                "mini-batches and learning_rate='invscaling' need a number of iterations."
            )
        return Objective.of(moments, standardize=self.standardize, l2=l2, l1=l1, resolved_only=endless)

    def _present_point(self, objective: Objective) -> Floats:
        """Return the point where the previous fit ended; zero before the first."""
        if not hasattr(self, "coef_"):
            return objective.zero
        if self.coef_.size != objective.scale.size:
            raise ValueError(
                f"The previous fit was of {self.coef_.size} features, this one is of {objective.scale.size}: "
                "warm_start can't continue it."
            )
        return objective.unfold(self.coef_, self.intercept_)

    def _stopping(self, objective: Objective) -> Stopping:
        tol = None if self.tol is None else float(np.ldexp(self.tol, -2 * objective.exponent))
        return Stopping(self.iterations, tol, self.n_iter_no_change)

    def _full_batch(self, objective: Objective, start: Floats, schedule: str | None = None) -> Outcome:
        """Descend at ``learning_rate``, or at another schedule."""
        steepest = objective.steepest
        rate = stable_rate(schedule or self.learning_rate, self.lr, self.power_t, steepest, lambda: steepest)
        outcome = full_batch(objective, rate, start, self._stopping(objective))
        self.t_ = outcome.steps
        if self.verbose:
            for step in np.unique(np.geomspace(1, outcome.steps, 10).astype(np.int64)):
                self._report(int(step), float(outcome.path.loss(np.array([step]))[0]))
        return outcome

    def _full_batch_so_far(self, objective: Objective) -> Outcome:
        """Descend on the rows seen so far.

        A few rows of many features have far larger eigenvalues than all rows will have: a rate that diverges
        on them is replaced by the automatic one, with a warning, until there are enough rows.
        """
        try:
            return self._full_batch(objective, objective.zero)
        except DivergenceError as error:
            outcome = self._full_batch(objective, objective.zero, "auto")
            warnings.warn(
                f"{error} The rows so far were fitted with learning_rate='auto' instead; "
                "the next call of partial_fit tries lr again on all rows.",
                ConvergenceWarning,
                stacklevel=4,
            )
            return outcome

    def _mini_batches(
        self,
        sgd: Callable[[MiniBatches, Rate, np.random.Generator, Floats], Floats],
        data: Data,
        objective: Objective,
        start: Floats,
        stopping: Stopping,
        *,
        step: int = 0,
    ) -> Outcome:
        """Run epochs by ``sgd``, after so many steps in earlier calls."""
        size = data.y.size if self.batch_size is None else self.batch_size
        batches = MiniBatches(data.X, data.y, data.relative_weight, objective, size)
        rate = stable_rate(self.learning_rate, self.lr, self.power_t, objective.steepest, batches.sharpness)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self.t_ = step
        epoch = partial(sgd, batches, rate, np.random.default_rng(seed))
        try:
            return epochs(epoch, objective, start, stopping, self._report)
        except FloatingPointError as error:
            raise divergence(rate.first, batches.sharpness()) from error

    def _settle(
        self, moments: Moments, objective: Objective, outcome: Outcome, dtype: type[np.floating[Any]]
    ) -> Self:
        """Keep the outcome as the fitted state."""
        if not outcome.converged:
            warnings.warn(
                f"The loss still fell by tol={self.tol:g} or more after iterations={self.iterations}: "
                "increase iterations, or the learning rate.",
                ConvergenceWarning,
                stacklevel=4,
            )
        weights, self.intercept_ = objective.fold(outcome.point)
        self.coef_ = weights.astype(dtype, copy=False)
        self.n_iter_ = outcome.steps
        with np.errstate(over="ignore"):
            self.gap_ = float(np.ldexp(objective.gap(outcome.point), 2 * objective.exponent))
        self.unresolved_ = objective.unresolved
        self._moments, self._path, self._exponent = moments, outcome.path, objective.exponent
        return self

    def _name_features(self, count: int, names: Sequence[str] | None) -> None:
        if names is not None and len(names) != count:
            raise ValueError(f"There are {len(names)} feature names for {count} features.")
        self.n_features_in_ = count
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _report(self, step: int, loss: float) -> None:
        if self.verbose:
            print(f"-- Iteration {step}, loss: {loss:.6g}")
