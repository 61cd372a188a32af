"""Scores of predictions, and confidence bounds of the difference between two models."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a model predicts some rows.

    Attributes:
        mse: mean squared error, in the target's unit squared.
        mae: mean absolute error, in the target's unit.
        r2: coefficient of determination, 1 - residual / total sum of squares; NaN for a constant target.
        mse_error: standard error of the mean squared error; NaN where it is not known.
    """

    mse: float
    mae: float
    r2: float
    mse_error: float = math.nan


@dataclass(frozen=True, slots=True)
class PairedErrors:
    """Two models' squared errors on the same rows, in the figures that an interval needs.

    The improvement on a row is the champion's squared error minus the candidate's. All figures are in the
    target's unit squared, the covariance in the square of that.

    Attributes:
        rows: how many rows.
        improvement: its mean.
        deviation: its sample standard deviation; NaN of one row.
        champion_mse: the mean of the champion's squared errors.
        champion_deviation: their sample standard deviation; NaN of one row.
        covariance: sample covariance of the improvement and the champion's squared errors; NaN of one row.
    """

    rows: int
    improvement: float
    deviation: float
    champion_mse: float
    champion_deviation: float
    covariance: float

    def lower_bound(self, level: float, minimum: float = 0.0) -> float:
        """Return a lower bound of the improvement, as a share of the champion's mean squared error.

        The bound is above ``minimum`` exactly where a one-sided paired t test at ``level`` rejects "the
        candidate is better by at most ``minimum``" (Student, 1908; applied to improvement - minimum * error).
        It is NaN where there is no interval: one row, or values that are not finite.
        """
        if self.rows < 2 or not self.champion_mse > 0:
            return math.nan
        variance = (
            self.deviation**2 - 2 * minimum * self.covariance + (minimum * self.champion_deviation) ** 2
        )
        error = math.sqrt(max(variance, 0.0) / self.rows)
        mean = self.improvement - minimum * self.champion_mse
        return minimum + (mean - self.quantile(level) * error) / self.champion_mse

    def quantile(self, level: float) -> float:
        """Return the t quantile that is exceeded with probability ``level``."""
        return float(-stdtrit(self.rows - 1, level))


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
        squared = np.square(residual)
        total = np.square(target - target.mean()).sum()
        return Scores(
            mse=float(squared.mean()),
            mae=float(np.abs(residual).mean()),
            r2=float(1 - squared.sum() / total) if total > 0 else math.nan,
            mse_error=float(squared.std(ddof=1) / math.sqrt(target.size)) if target.size > 1 else math.nan,
        )


def pair(
    target: NDArray[np.float64], candidate: NDArray[np.float64], champion: NDArray[np.float64]
) -> PairedErrors:
    """Compare two models' squared errors row by row.

    Args:
        target: the true values, of shape (n,).
        candidate: the candidate's predictions, of shape (n,).
        champion: the champion's predictions, of shape (n,).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.square(target - champion)
        improvements = errors - np.square(target - candidate)
        rows = target.size
        improved, failed = improvements - improvements.mean(), errors - errors.mean()
        degrees = rows - 1 if rows > 1 else math.nan
        return PairedErrors(
            rows=rows,
            improvement=float(improvements.mean()),
            deviation=math.sqrt(improved @ improved / degrees),
            champion_mse=float(errors.mean()),
            champion_deviation=math.sqrt(failed @ failed / degrees),
            covariance=float(improved @ failed / degrees),
        )
