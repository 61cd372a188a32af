"""Gradient descent on a quadratic, any number of steps at once.

Along an eigenvector of the Hessian with eigenvalue λ, a step at rate η shrinks the gradient by 1 - ηλ, so
that k steps move by (1 - (1 - ηλ)^k) / λ times the first gradient. Through log1p and expm1 this keeps its
digits for ηλ of any size; for ηλ = 0 it is kη.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.train.quadratic import Quadratic

# Steps described at once: bounds the memory that reading a long sequence of losses takes.
CHUNK = 8192

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contraction:
    """What K numbers of steps do to the gradient along r directions: it is multiplied by ``sign * exp(log)``.

    Attributes:
        log: shape (K, r), -inf where the gradient has vanished.
        sign: shape (K, r), 1 or -1.
        travel: shape (K, 1), the sum of the rates of the steps.
    """

    log: Floats
    sign: Floats
    travel: Floats


class Rate(Protocol):
    """A schedule of learning rates."""

    def at(self, step: Steps) -> Floats:
        """Return the rates of steps counted from 1."""

    def contractions(self, steps: Steps, eigenvalues: Floats) -> Iterator[Contraction]:
        """Yield in chunks what ascending numbers of steps do."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate at every step."""

    rate: float

    def at(self, step: Steps) -> Floats:
        """Return the rates of steps counted from 1."""
        return np.full(step.shape, self.rate)

    def contractions(self, steps: Steps, eigenvalues: Floats) -> Iterator[Contraction]:
        """Yield in chunks what ascending numbers of steps do."""
        log, negative = _log_shrinkage(self.rate * eigenvalues)
        for start in range(0, steps.size, CHUNK):
            count = steps[start : start + CHUNK, None]
            yield Contraction(
                # No step has no effect, also where one step is enough for good (0 times -inf).
                log=np.multiply(count, log, where=count > 0, out=np.zeros((count.size, log.size))),
                sign=np.where(negative & (count % 2 == 1), -1.0, 1.0),
                travel=self.rate * count,
            )


@dataclass(frozen=True, slots=True)
class InverseScaling:
    """The rate ``first / t**power`` at step t."""

    first: float
    power: float

    def at(self, step: Steps) -> Floats:
        """Return the rates of steps counted from 1."""
        return self.first / step.astype(np.float64) ** self.power

    def contractions(self, steps: Steps, eigenvalues: Floats) -> Iterator[Contraction]:
        """Yield in chunks what ascending numbers of steps do, in O(last step x directions)."""
        last = int(steps[-1]) if steps.size else -1
        log, negative, travel = np.zeros(eigenvalues.size), np.zeros(eigenvalues.size, dtype=np.int64), 0.0
        for start in range(0, last + 1, CHUNK):
            step = np.arange(start, min(start + CHUNK, last + 1))
            rates = np.where(step > 0, self.at(np.maximum(step, 1)), 0.0)
            logs, negatives = _log_shrinkage(rates[:, None] * eigenvalues)
            logs = log + np.cumsum(logs, axis=0)
            negatives = negative + np.cumsum(negatives, axis=0)
            travels = travel + np.cumsum(rates)
            log, negative, travel = logs[-1], negatives[-1], float(travels[-1])
            low, high = np.searchsorted(steps, [start, start + CHUNK])
            wanted = steps[low:high] - start
            yield Contraction(logs[wanted], 1.0 - 2.0 * (negatives[wanted] % 2), travels[wanted, None])


def _log_shrinkage(products: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return log abs(1 - ηλ) and where 1 - ηλ is negative, for products ηλ from 0 to below 2."""
    with np.errstate(divide="ignore"):
        negative = products > 1
        return np.log1p(np.where(negative, products - 2, -products)), negative


# Below this product of eigenvalue and travel, 1 - ηλ can't be told from 1 and a direction is a straight
# slope.
FLAT = np.finfo(np.float64).eps / 4


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Where descent on a quadratic stands after any number of steps, and the loss there.

    Attributes:
        rate: the learning rates.
        start: shape (d + 1,), the point it starts from.
        start_loss: the loss there.
        eigenvalues: shape (r,), of the Hessian.
        directions: shape (r, d + 1), its eigenvectors.
        pull: shape (r,), minus the gradient at the start along each.
    """

    rate: Rate
    start: Floats
    start_loss: float
    eigenvalues: Floats
    directions: Floats
    pull: Floats

    @classmethod
    def on(cls, quadratic: Quadratic, rate: Rate, start: Floats) -> "Descent":
        """Set out from a point of shape (d + 1,)."""
        return cls(rate, start, float(quadratic.loss(start)), *quadratic.spectrum(start))

    def point(self, steps: int) -> Floats:
        """Return the point, of shape (d + 1,), after so many steps."""
        (contraction,) = self.rate.contractions(np.array([steps]), self.eigenvalues)
        shrunk = np.where(contraction.sign > 0, -np.expm1(contraction.log), 1 + np.exp(contraction.log))
        moved = self._over_eigenvalue(shrunk, contraction.travel)[0] * self.pull
        return self.start + moved @ self.directions

    def loss(self, steps: Steps) -> Floats:
        """Return the losses, of shape (K,), after each of K ascending numbers of steps."""
        losses = [
            self.start_loss
            - self._over_eigenvalue(-np.expm1(2 * contraction.log), 2 * contraction.travel)
            @ (self.pull**2 / 2)
            for contraction in self.rate.contractions(steps, self.eigenvalues)
        ]
        return np.maximum(np.concatenate(losses), 0) if losses else np.empty(0)

    def stop(self, tol: float, patience: int, limit: int) -> int | None:
        """Return the step whose loss is the ``patience``-th in a row to fall by less than ``tol``.

        None when that is not within ``limit`` steps. At a constant rate each step gains less than the one
        before, so the first such step is found by bisection.
        """
        if isinstance(self.rate, Constant):
            steps = range(1, limit + 1)
            decline = lambda step: -float(self._gains(np.array([step]))[0])  # noqa: E731
            last = bisect.bisect_right(steps, -tol, key=decline) + patience
            return last if last <= limit else None
        row = 0
        for first in range(1, limit + 1, CHUNK):
            for offset, little in enumerate(
                self._gains(np.arange(first, min(first + CHUNK, limit + 1))) < tol
            ):
                row = row + 1 if little else 0
                if row == patience:
                    return first + offset
        return None

    def _gains(self, steps: Steps) -> Floats:
        """By how much each of these steps lowers the loss."""
        rates = self.rate.at(steps)[:, None]
        squares = np.concatenate(
            [
                np.exp(2 * contraction.log)
                for contraction in self.rate.contractions(steps - 1, self.eigenvalues)
            ]
        )
        return (squares * rates * (2 - rates * self.eigenvalues)) @ (self.pull**2 / 2)

    def _over_eigenvalue(self, shrunk: Floats, travel: Floats) -> Floats:
        flat = travel * self.eigenvalues < FLAT
        return np.where(flat, travel, shrunk / np.where(flat, 1.0, self.eigenvalues))
