"""The squared loss as a function of the weights, and its curvature, from the moments of a data set alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from components.train.moments import Moments

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """The mean squared error plus ``l2`` times the sum of squared weights, as descent sees it.

    A point is θ = (weights of the d features, intercept), of shape (d + 1,), on features z = (x - centre) /
    scale and the target in units of ``2**exponent``. The intercept is not penalised.

    The principal axes of the correlation matrix, not the covariances, hold the curvature: each axis (a row of
    ``axes``) has a ``strength``, the deviation along it, and a ``response``, the covariance of the target
    with the unit step along it. Axes without data have neither.

    Attributes:
        centre: shape (d,), the means, or zeros for raw features.
        scale: shape (d,), the deviations (1 for a constant feature), or ones for raw features.
        mean: shape (d,), the means of z.
        deviation: shape (d,), the deviations of z (1 for a constant feature).
        covariance: shape (d, d), of z.
        cross: shape (d,), the covariances of z and the target.
        target_mean: the mean of the target.
        target_variance: its variance.
        exponent: the binary exponent of the unit of the target.
        axes: shape (d, d), orthonormal rows.
        strength: shape (d,).
        response: shape (d,).
        l2: the factor of the squared weights.
        standardized: whether z is centred and divided by its deviation.
    """

    centre: Floats
    scale: Floats
    mean: Floats
    deviation: Floats
    covariance: Floats
    cross: Floats
    target_mean: float
    target_variance: float
    exponent: int
    axes: Floats
    strength: Floats
    response: Floats
    l2: float
    standardized: bool

    @classmethod
    def of(cls, moments: Moments, *, standardize: bool, l2: float = 0.0) -> "Quadratic":
        """Set up the loss over the rows that the moments describe."""
        covariance, mean = moments.covariance, moments.mean
        deviation = np.sqrt(np.diag(covariance))
        deviation = np.where(deviation > 0, deviation, 1.0)
        correlation = covariance / np.outer(deviation, deviation)
        axes, strength, response = _principal_axes(correlation[:-1, :-1], correlation[:-1, -1])
        exponent = moments.exponent[:-1]
        # One unit of z, in units of 2**exponent of x.
        unit = deviation[:-1] if standardize else np.ldexp(1.0, -exponent)
        stretch = deviation[:-1] / unit
        return cls(
            centre=np.ldexp(mean[:-1], exponent) if standardize else np.zeros(moments.features),
            scale=np.ldexp(unit, exponent),
            mean=np.zeros(moments.features) if standardize else mean[:-1] / unit,
            deviation=stretch,
            covariance=correlation[:-1, :-1] * np.outer(stretch, stretch),
            cross=correlation[:-1, -1] * stretch * deviation[-1],
            target_mean=float(mean[-1]),
            target_variance=float(covariance[-1, -1]),
            exponent=int(moments.exponent[-1]),
            axes=axes,
            strength=strength,
            response=response * deviation[-1],
            l2=l2,
            standardized=standardize,
        )

    def loss(self, points: Floats) -> Floats:
        """Return the loss at points of shape (..., d + 1), of shape (...)."""
        weights, intercept = points[..., :-1], points[..., -1]
        residual_mean = self.target_mean - weights @ self.mean - intercept
        explained = np.sum(weights * (2 * self.cross - weights @ self.covariance), axis=-1)
        squares = residual_mean**2 + np.maximum(self.target_variance - explained, 0)
        loss: Floats = squares + self.l2 * np.sum(weights * weights, axis=-1)
        return loss

    def gradient(self, point: Floats) -> Floats:
        """Return the gradient at a point, both of shape (d + 1,)."""
        weights = point[:-1]
        residual_mean = self.target_mean - weights @ self.mean - point[-1]
        slope = self.covariance @ weights - self.cross - residual_mean * self.mean + self.l2 * weights
        return 2 * np.append(slope, -residual_mean)

    def spectrum(self, start: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the Hessian's eigenvalues (d + 1,), its directions (rows), and the pull (d + 1,) along each.

        The pull is minus the gradient's component at ``start``, a point.
        """
        if self.standardized:
            # Centred features and the intercept don't interact, and the axes are the directions.
            directions = np.zeros((start.size, start.size))
            directions[:-1, :-1], directions[-1, -1] = self.axes, 1.0
            curvature = np.append(self.strength**2 + self.l2, 1.0)
            target = np.append(self.strength * self.response, self.target_mean)
            return 2 * curvature, directions, 2 * (target - curvature * (directions @ start))
        # The factor of the Hessian, never the Hessian: raw features of mean 1e4 and deviation 1 give it a
        # condition number of 1e16, for which it has no digits left. Jacobi rotations keep the factor's small
        # values accurate.
        rows = [
            np.column_stack(
                [self.strength[:, None] * self.axes * self.deviation, np.zeros_like(self.strength)]
            ),
            np.append(self.mean, 1.0),
        ]
        if self.l2:
            rows.append(np.sqrt(self.l2) * np.eye(start.size - 1, start.size))
        factor = np.vstack(rows)
        target = np.zeros(factor.shape[0])
        target[: start.size] = np.append(self.response, self.target_mean)
        left, singular, directions = _jacobi_svd(factor)
        pull = 2 * singular * (target @ left - singular * (directions @ start))
        return 2 * singular**2, directions, pull

    def fold(self, point: Floats) -> tuple[Floats, float]:
        """Return the weights (d,) and the intercept on the features and the target as they came."""
        weights = np.ldexp(point[:-1] / self.scale, self.exponent)
        return weights, float(np.ldexp(point[-1], self.exponent) - weights @ self.centre)

    def unfold(self, weights: Floats, intercept: float) -> Floats:
        """Return the point that ``fold`` makes these weights and this intercept of."""
        shifted = np.append(weights * self.scale, intercept + weights @ self.centre)
        return np.ldexp(shifted, -self.exponent)


def _principal_axes(correlation: Floats, response: Floats) -> tuple[Floats, Floats, Floats]:
    """Decompose a correlation matrix into orthonormal axes (rows), deviations along them, and responses.

    A small eigenvalue is not a zero one. An axis has data if either its variance or the target's covariance
    along it stands out of rounding; the covariance also bounds the variance from below (Cauchy and Schwarz).
    """
    variances, vectors = np.linalg.eigh(correlation)
    axes = vectors.T
    along = axes @ response
    variances = np.maximum(variances, along**2)
    rounding = 8 * np.finfo(np.float64).eps * response.size
    has_data = (variances > rounding) | (np.abs(along) > rounding)
    strength = np.where(has_data, np.sqrt(variances), 0.0)
    return axes, strength, np.divide(along, strength, out=np.zeros_like(along), where=has_data)


def _jacobi_svd(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    """Decompose a matrix with at least as many rows as columns by one-sided Jacobi rotations.

    Unlike the usual algorithms it finds small singular values to high relative accuracy when rows or columns
    are merely badly scaled (Drmač and Veselić, "New fast and accurate Jacobi SVD algorithm", 2008; LAPACK's
    xGEJSV).
    """
    values, left, right, work, _, info = lapack.dgejsv(np.asfortranarray(matrix), joba=2, jobr=0, jobt=1)
    if info:
        raise ValueError(f"the singular values of the data did not converge (LAPACK dgejsv: {info})")
    return left, values * (work[0] / work[1]), right.T
