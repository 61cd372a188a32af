"""Choosing parameters and features by the error on rows kept aside from the training rows."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.train.regression import SimpleLinearRegression

FEATURES = "features"
OPTIONS = ("validation_share", "seed")


class SearchError(ValueError):
    """A search that makes no sense, or that no candidate survived; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The features a fit sees, and the parameters of the estimator."""

    features: tuple[str, ...]
    parameters: Mapping[str, Any]

    def fit(
        self, X: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str]
    ) -> SimpleLinearRegression:
        """Fit to the chosen columns of X, shape (n, q); ``names`` has the input of each."""
        return SimpleLinearRegression(**self.parameters).fit(self.select(X, names), y)

    def select(self, X: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
        """Take the columns of the chosen inputs, in the order of the candidate."""
        return X if tuple(names) == self.features else X[:, self.positions(names)]

    def positions(self, names: Sequence[str]) -> list[int]:
        """Return the positions of the columns of the chosen inputs; a category has several."""
        return [place for name in self.features for place, other in enumerate(names) if other == name]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a candidate: the mean squared error on the validation rows, or why there is none."""

    candidate: Candidate
    mse: float = math.nan
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A grid, of which every combination is tried.

    Attributes:
        grid: values by name, for any parameter of the estimator, and lists of names for ``features``.
        validation_share: of the training rows, chosen at random, is kept aside to compare on.
        seed: of that choice.
    """

    grid: Mapping[str, Any] = field(default_factory=dict)
    validation_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        known = (*SimpleLinearRegression().get_params(), FEATURES)
        for name, values in self.grid.items():
            if name not in known:
                raise SearchError(f"a search knows {', '.join((*known, *OPTIONS))}, not {name!r}")
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise SearchError(f"{name} of a search must be a list of values, not {values!r}")
        for features in self.grid.get(FEATURES, ()):
            if isinstance(features, str) or not features or len(set(features)) < len(features):
                raise SearchError(
                    f"{FEATURES} of a search must be lists of different names, not {features!r}"
                )
        if not 0 < self.validation_share < 1:
            raise SearchError(f"validation_share must lie between 0 and 1, not be {self.validation_share}")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Search":
        """Read a search from JSON, such as ``{"lr": [0.01, 0.1], "features": [["bmi"], ["bmi", "bp"]]}``."""
        grid = {name: values for name, values in document.items() if name not in OPTIONS}
        defaults = SimpleLinearRegression().get_params()
        for name, values in grid.items():
            if isinstance(values, list) and not isinstance(defaults.get(name), float):
                grid[name] = [_whole(value) for value in values]
        options = {name: _whole(document[name]) for name in OPTIONS if name in document}
        return cls(grid, **options)

    def candidates(self, given: Candidate) -> list[Candidate]:
        """List the combinations, the first of the grid changing slowest; the rest is as given."""
        combinations = [
            dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())
        ]
        parameters = dict(given.parameters)
        if "lr" in self.grid and parameters["learning_rate"] == "auto":
            parameters["learning_rate"] = "constant"  # the automatic one would ignore what is searched
        return [
            Candidate(tuple(chosen.pop(FEATURES, given.features)), {**parameters, **chosen})
            for chosen in combinations
        ]

    def run(
        self, X: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str], given: Candidate
    ) -> list[Trial]:
        """Fit every candidate to the one part of the training rows and score it on the other.

        Args:
            X: one-hot columns of the training rows, shape (n, q).
            y: their targets, shape (n,).
            names: of the inputs that the q columns are of.
            given: what isn't searched.

        Raises:
            SearchError: a feature isn't there, or there are too few rows to keep some aside.
        """
        candidates = self.candidates(given)
        for candidate in candidates:
            if unknown := [name for name in candidate.features if name not in names]:
                raise SearchError(
                    f"the dataset has no feature {unknown[0]!r}, only {', '.join(dict.fromkeys(names))}"
                )
        aside = self._kept_aside(len(y))
        learn, compare = (X[~aside], y[~aside]), (X[aside], y[aside])
        return [_try(candidate, learn, compare, names) for candidate in candidates]

    def _kept_aside(self, rows: int) -> NDArray[np.bool_]:
        kept = round(rows * self.validation_share)
        if not 2 <= kept <= rows - 2:
            raise SearchError(
                f"{self.validation_share:g} of {rows} rows leaves too few to compare on or to fit"
            )
        mask = np.zeros(rows, dtype=np.bool_)
        # Numpy promises the same stream in all releases for this generator, not for default_rng.
        mask[np.random.RandomState(self.seed).permutation(rows)[:kept]] = True
        return mask


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


def _try(
    candidate: Candidate,
    learn: tuple[NDArray[np.float64], NDArray[np.float64]],
    compare: tuple[NDArray[np.float64], NDArray[np.float64]],
    names: Sequence[str],
) -> Trial:
    try:
        estimator = candidate.fit(*learn, names)
    except ValueError as error:  # such as a learning rate with which descent diverges
        return Trial(candidate, failure=str(error))
    X, y = compare
    return Trial(candidate, mse=float(np.mean((y - estimator.predict(candidate.select(X, names))) ** 2)))


def _whole(value: Any) -> Any:
    """Take 100.0 for 100: KFP passes every number in a document as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
