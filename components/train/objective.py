"""What descent minimises, and its curvature, from the moments of a dataset alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from components.data.moments import Moments

Floats = NDArray[np.float64]

# Rounding leaves the entries of a correlation matrix, and so its eigenvalues, uncertain by some units of the
# last digit. An eigenvalue this many times larger than that bound is known to one part in a thousand. It is
# about where scikit-learn's LinearRegression stops, too: at singular values of 1e-6 of the largest.
RESOLVED = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The mean squared error plus ``l2`` x the sum of squared weights plus ``l1`` x the sum of their sizes.

    A point is θ = (weights of the d features, intercept), of shape (d + 1,), on features z = (x - centre) /
    scale and the target in units of ``2**exponent``. The intercept is not penalised.

    Attributes:
        centre: shape (d,), the means, or zeros for raw features.
        scale: shape (d,), the deviations (1 for a constant feature), or ones for raw features.
        mean: shape (d,), the means of z.
        covariance: shape (d, d), of z.
        cross: shape (d,), the covariances of z and the target.
        target_mean: the mean of the target.
        target_variance: its variance.
        exponent: the binary exponent of the unit of the target.
        l2: the factor of the squared weights.
        l1: the factor of the weights' absolute values, in units of ``2**exponent``.
        eigenvalues: shape (d + 1,), of the Hessian without the l1 term; 0 for directions without data.
        directions: shape (d + 1, d + 1), its eigenvectors, as rows.
        pull_at_zero: shape (d + 1,), minus the gradient along each at the point zero.
        unresolved: shape (u, d), the combinations of z along which the rows do not vary by more than
            rounding. The objective counts them as without data.
    """

    centre: Floats
    scale: Floats
    mean: Floats
    covariance: Floats
    cross: Floats
    target_mean: float
    target_variance: float
    exponent: int
    l2: float
    l1: float
    eigenvalues: Floats
    directions: Floats
    pull_at_zero: Floats
    unresolved: Floats

    @classmethod
    def of(
        cls,
        moments: Moments,
        *,
        standardize: bool,
        l2: float = 0.0,
        l1: float = 0.0,
        resolved_only: bool = False,
    ) -> "Objective":
        """Set up the loss over the rows that the moments describe; penalties are on the weights of z.

        Args:
            moments: of the rows.
            standardize: whether z are the standardised features; the raw ones otherwise.
            l2: see above.
            l1: see above, in units of the target.
            resolved_only: leave out directions whose variance is not well above rounding. Rounding would
                decide how far descent goes along them in the end.
        """
        covariance, mean = moments.covariance, moments.mean
        deviation = np.sqrt(np.diag(covariance))
        deviation = np.where(deviation > 0, deviation, 1.0)
        correlation = covariance / np.outer(deviation, deviation)
        axes, strength, response = _principal_axes(
            correlation[:-1, :-1], correlation[:-1, -1], resolved_only=resolved_only
        )
        response *= deviation[-1]
        exponent = moments.exponent[:-1]
        # One unit of z, in units of 2**exponent of x.
        unit = deviation[:-1] if standardize else np.ldexp(1.0, -exponent)
        z_mean, z_deviation = mean[:-1] / unit, deviation[:-1] / unit
        if standardize:
            z_mean = np.zeros_like(z_mean)
            spectrum = _standardized_spectrum(axes, strength, response, mean[-1], l2)
        else:
            factor = strength[:, np.newaxis] * axes * z_deviation
            spectrum = _raw_spectrum(factor, response, z_mean, mean[-1], l2)
        return cls(
            centre=np.ldexp(mean[:-1], exponent) if standardize else np.zeros(moments.features),
            scale=np.ldexp(unit, exponent),
            mean=z_mean,
            covariance=correlation[:-1, :-1] * np.outer(z_deviation, z_deviation),
            cross=correlation[:-1, -1] * z_deviation * deviation[-1],
            target_mean=float(mean[-1]),
            target_variance=float(covariance[-1, -1]),
            exponent=int(moments.exponent[-1]),
            l2=l2,
            l1=float(np.ldexp(l1, -moments.exponent[-1])),
            eigenvalues=spectrum[0],
            directions=spectrum[1],
            pull_at_zero=spectrum[2],
            unresolved=axes[strength == 0],
        )

    @property
    def steepest(self) -> float:
        """The largest eigenvalue: steps at rates of 2 over it and above diverge."""
        return float(self.eigenvalues.max())

    @property
    def zero(self) -> Floats:
        """The point with all weights and the intercept zero, of shape (d + 1,)."""
        return np.zeros(self.scale.size + 1)

    def loss(self, points: Floats) -> Floats:
        """Return the loss at points of shape (..., d + 1), of shape (...)."""
        weights, intercept = points[..., :-1], points[..., -1]
        residual_mean = self.target_mean - weights @ self.mean - intercept
        explained = np.sum(weights * (2 * self.cross - weights @ self.covariance), axis=-1)
        squares = residual_mean**2 + np.maximum(self.target_variance - explained, 0)
        penalty = self.l2 * np.sum(weights * weights, axis=-1) + self.l1 * np.sum(np.abs(weights), axis=-1)
        loss: Floats = squares + penalty
        return loss

    def pull(self, point: Floats) -> Floats:
        """Return minus the gradient at a point along each direction, without the l1 term."""
        return self.pull_at_zero - self.eigenvalues * (self.directions @ point)

    def gradient(self, point: Floats) -> Floats:
        """Return the gradient without the l1 term at a point, both of shape (d + 1,)."""
        weights = point[:-1]
        residual_mean = self.target_mean - weights @ self.mean - point[-1]
        gradient = np.empty_like(point)
        gradient[:-1] = self.covariance @ weights - self.cross - residual_mean * self.mean + self.l2 * weights
        gradient[-1] = -residual_mean
        return 2 * gradient

    def gap(self, point: Floats) -> float:
        """Return how far the loss at a point of shape (d + 1,) is above its minimum; with l1 at most so far.

        For a subgradient s at the point, the loss is at least loss(point) + s·v + vᵀHv / 2 a step v away. The
        least value of that bound over all steps is loss(point) - sᵀH⁻¹s / 2.
        """
        pull = self.directions @ self._least_subgradient(point) if self.l1 else self.pull(point)
        curved = self.eigenvalues > 0
        return float(np.sum(pull[curved] ** 2 / self.eigenvalues[curved]) / 2)

    def _least_subgradient(self, point: Floats) -> Floats:
        gradient = self.gradient(point)
        weights, slope = point[:-1], gradient[:-1]
        flat = slope - np.clip(slope, -self.l1, self.l1)
        gradient[:-1] = np.where(weights == 0, flat, slope + self.l1 * np.sign(weights))
        return gradient

    def shrink(self, point: Floats, rate: float) -> Floats:
        """Return the l1 term's proximal step: weights move towards zero by ``rate * l1`` and stop there."""
        reach = rate * self.l1
        shrunk = point.copy()
        shrunk[:-1] -= np.minimum(np.maximum(point[:-1], -reach), reach)
        return shrunk

    def fold(self, point: Floats) -> tuple[Floats, float]:
        """Return the weights (d,) and the intercept on the features and the target as they came."""
        weights = np.ldexp(point[:-1] / self.scale, self.exponent)
        return weights, float(np.ldexp(point[-1], self.exponent) - weights @ self.centre)

    def unfold(self, weights: Floats, intercept: float) -> Floats:
        """Return the point that ``fold`` makes these weights and this intercept of."""
        point = np.append(weights * self.scale, intercept + weights @ self.centre)
        return np.ldexp(point, -self.exponent)


def _principal_axes(
    correlation: Floats, response: Floats, *, resolved_only: bool
) -> tuple[Floats, Floats, Floats]:
    """Decompose a correlation matrix into orthonormal axes (rows), deviations along them, and responses.

    A response is the target's correlation with the unit step along an axis. A small eigenvalue is not a zero
    one: an axis has data if either its variance or the target's covariance along it stands out of rounding;
    the covariance also bounds the variance from below (Cauchy and Schwarz). With ``resolved_only`` the
    variance alone decides, and must stand out by ``RESOLVED``.
    """
    variances, vectors = np.linalg.eigh(correlation)
    axes = vectors.T
    along = axes @ response
    rounding = 8 * np.finfo(np.float64).eps * response.size
    if resolved_only:
        has_data = variances > RESOLVED * rounding
        variances = np.maximum(variances, 0)
    else:
        variances = np.maximum(variances, along**2)
        has_data = (variances > rounding) | (np.abs(along) > rounding)
    strength = np.where(has_data, np.sqrt(variances), 0.0)
    return axes, strength, np.divide(along, strength, out=np.zeros_like(along), where=has_data)


def _standardized_spectrum(
    axes: Floats, strength: Floats, response: Floats, target_mean: float, l2: float
) -> tuple[Floats, Floats, Floats]:
    """Centred features and the intercept don't interact, and the principal axes are the directions."""
    directions = np.zeros((strength.size + 1, strength.size + 1))
    directions[:-1, :-1], directions[-1, -1] = axes, 1.0
    eigenvalues = 2 * np.append(strength**2 + l2, 1.0)
    return eigenvalues, directions, 2 * np.append(strength * response, target_mean)


def _raw_spectrum(
    factor: Floats, response: Floats, mean: Floats, target_mean: float, l2: float
) -> tuple[Floats, Floats, Floats]:
    """Decompose a factor of the Hessian, never the Hessian.

    Raw features of mean 1e4 and deviation 1 give the Hessian a condition number of 1e16, for which it has no
    digits left. Jacobi rotations find the small singular values of the factor to high relative accuracy, as
    rows or columns are merely badly scaled (Drmač and Veselić, "New fast and accurate Jacobi SVD algorithm",
    2008).
    """
    features = mean.size
    rows = [np.column_stack([factor, np.zeros(features)]), np.append(mean, 1.0)]
    if l2:
        rows.append(np.sqrt(l2) * np.eye(features, features + 1))
    matrix = np.asfortranarray(np.vstack(rows))
    target = np.zeros(matrix.shape[0])
    target[: features + 1] = np.append(response, target_mean)
    values, left, right, work, _, info = lapack.dgejsv(matrix, joba=2, jobr=0, jobt=1)
    if info:
        raise ValueError(
            f"The singular values of the features can't be found (LAPACK's dgejsv returned {info})."
        )
    singular = values * (work[0] / work[1])
    with np.errstate(over="ignore"):
        return 2 * singular**2, right.T, 2 * singular * (target @ left)
