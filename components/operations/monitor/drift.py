"""How far what is seen has moved from what the model was trained on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from predictor.model.base import Distribution, Model

PREDICTION = "(prediction)"
"""Stands among the features for what the model makes of them."""

_EMPTY = 1e-4
_CONFIDENCE = 0.999


@dataclass(frozen=True, slots=True)
class Drift:
    """One column's population stability index, and what chance alone can make of it.

    Attributes:
        index: the sum over the bins of (p - q) ln(p / q), p the shares seen and q those of the training.
        chance: what the index stays below with probability 0.999 while nothing has moved.
    """

    index: float
    chance: float


def drift(
    model: Model, columns: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64]
) -> dict[str, Drift]:
    """Measure the drift of every feature, and of the predictions.

    Args:
        model: with the distributions of its training.
        columns: the features seen, each of shape (n,).
        values: what was predicted, shape (n,).
    """
    seen = {**columns, PREDICTION: values}
    reference = {**model.reference.features, PREDICTION: model.reference.prediction}
    return {name: _measure(reference[name], model.reference.rows, seen[name]) for name in reference}


def stability_index(reference: Distribution, values: NDArray[np.float64]) -> float:
    """The population stability index of ``values``, shape (n,), against a distribution; NaN of no values.

    An empty bin counts as a share of 0.0001, so that one is not infinitely far.
    """
    if not values.size:
        return math.nan
    bins = np.searchsorted(reference.edges, values, side="right")
    shares = np.bincount(bins, minlength=len(reference.proportions)) / values.size
    p = np.maximum(shares, _EMPTY)
    q = np.maximum(np.asarray(reference.proportions), _EMPTY)
    return float(np.sum((p - q) * np.log(p / q)))


def _measure(reference: Distribution, rows: int, values: NDArray[np.float64]) -> Drift:
    """An index, and its quantile where nothing moved: (1/n + 1/N) chi² of k - 1 degrees (Yurdakul, 2018)."""
    degrees = len(reference.proportions) - 1
    if not values.size or not degrees:
        return Drift(stability_index(reference, values), 0.0)
    chance = (1 / values.size + 1 / rows) * float(chi2.ppf(_CONFIDENCE, degrees))
    return Drift(stability_index(reference, values), chance)
