"""Choosing learning rate, steps and features by the error on rows kept aside from the training rows."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.train.regression import SimpleLinearRegression


class SearchError(ValueError):
    """A search that makes no sense, or that no candidate survived; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One choice of what the fit is given: the estimator's parameters, and the features it sees."""

    features: tuple[str, ...]
    iterations: int
    lr: float

    def estimator(self) -> SimpleLinearRegression:
        """Make the estimator, not yet fitted."""
        return SimpleLinearRegression(iterations=self.iterations, lr=self.lr)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a candidate: the mean squared error on the validation rows, or why there is none."""

    candidate: Candidate
    mse: float = math.nan
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A grid: every combination of what is listed; where nothing is, the given value stays.

    Attributes:
        features: lists of features.
        iterations: numbers of steps.
        lr: learning rates.
        validation_share: of the training rows, chosen at random, is kept aside to compare on.
        seed: of that choice.
    """

    features: Sequence[Sequence[str]] = ()
    iterations: Sequence[int] = ()
    lr: Sequence[float] = ()
    validation_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise SearchError(f"validation_share must lie between 0 and 1, not be {self.validation_share}")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Search":
        """Read a search from JSON, such as ``{"lr": [0.01, 0.1], "features": [["bmi"], ["bmi", "bp"]]}``."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(document) - set(known)):
            raise SearchError(f"a search knows {', '.join(known)}, not {unknown[0]!r}")
        values = dict(document)
        for name in {"features", "iterations", "lr"} & set(values):
            if not isinstance(values[name], list):
                raise SearchError(f"{name} of a search must be a list, not {values[name]!r}")
        if "iterations" in values:
            values["iterations"] = [_whole(steps) for steps in values["iterations"]]
        if "seed" in values:
            values["seed"] = _whole(values["seed"])
        return cls(**values)

    def candidates(self, given: Candidate) -> list[Candidate]:
        """List the combinations, the features changing slowest and the learning rate fastest."""
        return [
            Candidate(tuple(features), iterations, lr)
            for features, iterations, lr in itertools.product(
                self.features or [given.features],
                self.iterations or [given.iterations],
                self.lr or [given.lr],
            )
        ]

    def run(
        self, X: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str], given: Candidate
    ) -> list[Trial]:
        """Fit every candidate on the one part of the training rows and score it on the other.

        Args:
            X: the training rows, shape (n, d).
            y: their targets, shape (n,).
            names: of the d features.
            given: what isn't searched.
        """
        candidates = self.candidates(given)
        for candidate in candidates:
            if unknown := set(candidate.features) - set(names):
                raise SearchError(f"the dataset has no feature {min(unknown)!r}, only {', '.join(names)}")
            if not candidate.features or len(set(candidate.features)) < len(candidate.features):
                raise SearchError(f"features must be named, and once each, not {list(candidate.features)}")
        validation = self._validation(len(y))
        return [self._try(candidate, X, y, names, validation) for candidate in candidates]

    def _validation(self, rows: int) -> NDArray[np.bool_]:
        mask = np.zeros(rows, dtype=np.bool_)
        kept = round(rows * self.validation_share)
        if not 2 <= kept <= rows - 2:
            raise SearchError(
                f"a share of {self.validation_share} of {rows} rows leaves too few to compare on"
            )
        # Numpy promises the same stream in all releases for this generator, not for default_rng.
        mask[np.random.RandomState(self.seed).permutation(rows)[:kept]] = True
        return mask

    @staticmethod
    def _try(
        candidate: Candidate,
        X: NDArray[np.float64],
        y: NDArray[np.float64],
        names: Sequence[str],
        validation: NDArray[np.bool_],
    ) -> Trial:
        chosen = X[:, [list(names).index(name) for name in candidate.features]]
        try:
            estimator = candidate.estimator().fit(chosen[~validation], y[~validation])
        except ValueError as error:  # such as a learning rate with which descent diverges
            return Trial(candidate, failure=str(error))
        residuals = y[validation] - estimator.predict(chosen[validation])
        return Trial(candidate, mse=float(np.mean(residuals**2)))


def _whole(number: Any) -> int:
    """Take 100.0 for 100: KFP passes every number in a document as a float."""
    if isinstance(number, int | float) and number == int(number):
        return int(number)
    raise SearchError(f"{number!r} is not a whole number")


def best(trials: Sequence[Trial]) -> Candidate:
    """Choose the least error; of equal ones the first.

    Raises:
        SearchError: every candidate failed.
    """
    scored = [trial for trial in trials if math.isfinite(trial.mse)]
    if not scored:
        reasons = "; ".join(dict.fromkeys(trial.failure or "its error is not finite" for trial in trials))
        raise SearchError(f"none of {len(trials)} candidates could be fitted: {reasons}")
    return min(scored, key=lambda trial: trial.mse).candidate
