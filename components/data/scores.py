"""How good predictions are, and how sure a difference between two models is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCKS = 10_000
DRAWS_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a model predicts some rows.

    Attributes:
        mse: mean squared error, in the target's unit squared.
        mae: mean absolute error, in the target's unit.
        r2: coefficient of determination, 1 - residual / total sum of squares; NaN for a constant target.
    """

    mse: float
    mae: float
    r2: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its bootstrap interval: ``low <= value <= high`` in all but odd samples."""

    value: float
    low: float
    high: float
    confidence: float


def score(target: NDArray[np.float64], predicted: NDArray[np.float64]) -> Scores:
    """Score predictions of shape (n,) against the true values of shape (n,).

    Values too large to be squared give an infinite or undefined score, not an error: the gate refuses it.

    Raises:
        ValueError: the shapes differ, or there is no row.
    """
    if target.shape != predicted.shape or target.ndim != 1 or not target.size:
        raise ValueError(f"{predicted.shape} predictions can't be scored against {target.shape} true values")
    with np.errstate(over="ignore", invalid="ignore"):
        residual = target - predicted
        squared = residual @ residual
        total = np.square(target - target.mean()).sum()
        return Scores(
            mse=float(squared / target.size),
            mae=float(np.abs(residual).mean()),
            r2=float(1 - squared / total) if total > 0 else float("nan"),
        )


def mse_difference(
    target: NDArray[np.float64],
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The candidate's mean squared error minus the champion's, with a paired percentile bootstrap.

    Rows are drawn with replacement, the same for both models (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13). Of more than ``BLOCKS`` rows, means of that many random groups are drawn
    instead, which have the same mean and the same standard error.

    Args:
        target: the true values, of shape (n,).
        candidate: the candidate's predictions, of shape (n,).
        champion: the champion's predictions, of shape (n,).
        confidence: the share of resampled differences within the interval.
        resamples: how many times the rows are drawn.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore"):
        differences = np.square(target - candidate) - np.square(target - champion)
        value = float(differences.mean())
        if differences.size > BLOCKS:
            groups = np.array_split(generator.permutation(differences), BLOCKS)
            differences = np.array([group.mean() for group in groups])
        size = differences.size
        means = np.concatenate(
            [
                differences[generator.integers(size, size=(rows, size))].mean(axis=1)
                for rows in _batches(resamples, at_most=max(1, DRAWS_AT_ONCE // size))
            ]
        )
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
    return Interval(value=value, low=low, high=high, confidence=confidence)


def _batches(total: int, at_most: int) -> list[int]:
    full, rest = divmod(total, at_most)
    return [at_most] * full + [rest] * bool(rest)
