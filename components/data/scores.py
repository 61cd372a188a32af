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
    target's unit squared, the covariance in the square of that. The deviations and the covariance are those
    of units that are independent of each other: groups of rows where there are any, otherwise rows. They are
    NaN of one unit.

    Attributes:
        rows: how many rows.
        units: how many units.
        improvement: its mean.
        deviation: its sample standard deviation.
        champion_mse: the mean of the champion's squared errors.
        champion_deviation: their sample standard deviation.
        covariance: sample covariance of the improvement and the champion's squared errors.
    """

    rows: int
    units: int
    improvement: float
    deviation: float
    champion_mse: float
    champion_deviation: float
    covariance: float

    @property
    def count(self) -> str:
        """How many rows, and of how many groups, in words."""
        rows = f"{self.rows} held-out rows"
        return rows if self.units == self.rows else f"{rows} of {self.units} groups"

    def lower_bound(self, level: float, minimum: float = 0.0) -> float:
        """Return a lower bound of the improvement, as a share of the champion's mean squared error.

        The bound is above ``minimum`` exactly where a one-sided paired t test at ``level`` rejects "the
        candidate is better by at most ``minimum``" (Student, 1908; applied to improvement - minimum * error).
        It is NaN where there is no interval: one unit, or values that are not finite.
        """
        if self.units < 2 or not self.champion_mse > 0:
            return math.nan
        variance = (
            self.deviation**2 - 2 * minimum * self.covariance + (minimum * self.champion_deviation) ** 2
        )
        error = math.sqrt(max(variance, 0.0) / self.units)
        mean = self.improvement - minimum * self.champion_mse
        return minimum + (mean - self.quantile(level) * error) / self.champion_mse

    def quantile(self, level: float) -> float:
        """Return the t quantile that is exceeded with probability ``level``."""
        return float(-stdtrit(self.units - 1, level))


def score(
    target: NDArray[np.float64], predicted: NDArray[np.float64], groups: NDArray[np.float64] | None = None
) -> Scores:
    """Score predictions of shape (n,) against the true values of shape (n,).

    With groups, see ``pair``, the standard error is that of independent groups instead of rows.

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
            mse_error=math.sqrt(_covariance(units := _deviations(squared, groups), units) / units.size),
        )


def pair(
    target: NDArray[np.float64],
    candidate: NDArray[np.float64],
    champion: NDArray[np.float64],
    groups: NDArray[np.float64] | None = None,
) -> PairedErrors:
    """Compare two models' squared errors row by row.

    Rows of one group may resemble each other, so the groups count instead of the rows: the variance of the
    mean is that of the groups' summed deviations (Liang and Zeger, 1986), with as many degrees of freedom as
    there are groups, less one.

    Args:
        target: the true values, of shape (n,).
        candidate: the candidate's predictions, of shape (n,).
        champion: the champion's predictions, of shape (n,).
        groups: of shape (n,), equal for rows of one group; each row is its own without it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.square(target - champion)
        improvements = errors - np.square(target - candidate)
        improved, failed = _deviations(improvements, groups), _deviations(errors, groups)
        return PairedErrors(
            rows=target.size,
            units=improved.size,
            improvement=float(improvements.mean()),
            deviation=math.sqrt(_covariance(improved, improved)),
            champion_mse=float(errors.mean()),
            champion_deviation=math.sqrt(_covariance(failed, failed)),
            covariance=_covariance(improved, failed),
        )


def _deviations(values: NDArray[np.float64], groups: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return each unit's deviation from the mean of the values.

    A group's is the sum of its rows' deviations, divided by the mean number of rows in a group. So the
    variance of the mean is the variance of these deviations divided by their number, for groups and for rows.
    """
    deviations = values - values.mean()
    if groups is None:
        return deviations
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, deviations)
    return np.asarray(sums * (sums.size / values.size))


def _covariance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / (one.size - 1)) if one.size > 1 else math.nan
