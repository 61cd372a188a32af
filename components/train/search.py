"""Chooses parameters and features by the error on validation rows."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.settings import meant
from components.train import kinds
from components.train.kind import TrainingData, model_of
from components.train.kinds import find, whole

FEATURES = "features"
OPTIONS = ("validation_share", "seed")


class SearchError(ValueError):
    """An invalid search, or one of which no candidate could be fitted; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The features a fit sees, and its parameters."""

    features: tuple[str, ...]
    parameters: Mapping[str, Any]


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
        for name, values in self.grid.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise SearchError(f"{name} of a search must be a list of values, not {values!r}")
        for features in self.grid.get(FEATURES, ()):
            if not (isinstance(features, list | tuple) and _are_names(features)):
                raise SearchError(
                    f"{FEATURES} of a search must be lists of different names, not {features!r}"
                )
        seed: Any = self.seed  # both may come from JSON
        share: Any = self.validation_share
        if not (isinstance(seed, int) and 0 <= seed < 2**32):
            raise SearchError(f"seed of a search must be a whole number from 0 to below 2**32, not {seed!r}")
        if not (isinstance(share, int | float) and 0 < share < 1):
            raise SearchError(f"validation_share must be between 0 and 1, not {share!r}")

    @classmethod
    def of(cls, document: Mapping[str, Any], parameters: Mapping[str, Any]) -> "Search":
        """Read a search from JSON, such as ``{"lr": [0.01, 0.1], "features": [["bmi"], ["bmi", "bp"]]}``.

        Args:
            document: the JSON.
            parameters: of the kind of model, with their defaults.

        Raises:
            SearchError: the search is invalid.
        """
        grid = {name: values for name, values in document.items() if name not in OPTIONS}
        known = (*parameters, FEATURES)
        for name, values in grid.items():
            if name not in known:
                listed = ", ".join((*known, *OPTIONS))
                raise SearchError(
                    f"unknown parameter {name!r} in search; there are {listed}{meant(name, known)}"
                )
            if isinstance(values, list):
                grid[name] = [whole(value, parameters.get(name)) for value in values]
        options = {name: whole(document[name], None) for name in OPTIONS if name in document}
        return cls(grid, **options)

    def candidates(self, given: Candidate) -> list[Candidate]:
        """List the combinations, the first of the grid changing slowest; the rest is as given."""
        combinations = [
            dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())
        ]
        return [
            Candidate(tuple(chosen.pop(FEATURES, given.features)), {**given.parameters, **chosen})
            for chosen in combinations
        ]

    def run(self, data: TrainingData, kind: str, given: Candidate) -> list[Trial]:
        """Fit every candidate to the one part of the training rows and score it on the other.

        Args:
            data: the training rows.
            kind: of model.
            given: what isn't searched.

        Raises:
            SearchError: a feature isn't there, or there are too few rows to keep some aside.
        """
        candidates, names = self.candidates(given), data.names
        for candidate in candidates:
            if unknown := [name for name in candidate.features if name not in names]:
                raise SearchError(f"the dataset has no feature {unknown[0]!r}, only {', '.join(names)}")
        aside = self._kept_aside(len(data.y))
        learn, compare = data.of_rows(~aside), data.of_rows(aside)
        return [_try(kind, candidate, learn, compare) for candidate in candidates]

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


def check(
    document: Mapping[str, Any], kind: str, given: Mapping[str, Any], features: Sequence[str] | None
) -> None:
    """Check a search without any data.

    Args:
        document: as ``Search.of`` reads it; empty for no search.
        kind: of model.
        given: the parameters that are given beside it.
        features: of the dataset; None if they are not known.

    Raises:
        ValueError: the search is invalid, or one of its values.
    """
    search = Search.of(document, kinds.parameters(kind, given))
    for name, values in search.grid.items():
        for value in values:
            if name != FEATURES:
                kinds.check(kind, {**given, name: value})
            elif features is not None and (unknown := [one for one in value if one not in features]):
                raise SearchError(f"the dataset has no feature {unknown[0]!r}, only {', '.join(features)}")


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


def _are_names(features: Sequence[Any]) -> bool:
    return all(isinstance(one, str) for one in features) and 0 < len(features) == len(set(features))


def _try(kind: str, candidate: Candidate, learn: TrainingData, compare: TrainingData) -> Trial:
    learn, compare = learn.of_inputs(candidate.features), compare.of_inputs(candidate.features)
    try:
        model = model_of(kind, find(kind).fit(learn, candidate.parameters), learn)
    except ValueError as error:  # such as a learning rate with which descent diverges
        return Trial(candidate, failure=str(error))
    with np.errstate(over="ignore", invalid="ignore"):
        return Trial(candidate, mse=float(np.mean((compare.y - model.predict(compare.X)) ** 2)))
