"""Full-batch gradient descent, any number of steps at once."""

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.train.objective import Objective
from components.train.rates import CHUNK, Constant, Rate

# Below this product of eigenvalue and travel the gradient has not changed by a digit: the slope is straight.
STRAIGHT = np.finfo(np.float64).eps / 4

LAST_DIGIT = math.log(np.finfo(np.float64).eps / 2)

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The loss after any number of steps of gradient descent on a quadratic.

    Attributes:
        rate: the learning rates.
        start_loss: the loss before the first step.
        eigenvalues: shape (r,), of the Hessian.
        pull: shape (r,), minus the first gradient along each of its directions.
    """

    rate: Rate
    start_loss: float
    eigenvalues: Floats
    pull: Floats

    def loss(self, steps: Steps) -> Floats:
        """Return the losses, of shape (K,), after each of K ascending numbers of steps."""
        energy = self.pull**2 / 2
        # Summed row by row: a matrix product rounds a row by the number of its neighbours.
        losses = [
            self.start_loss
            - np.sum(_over(self.eigenvalues, -np.expm1(2 * part.log), 2 * part.travel) * energy, axis=1)
            for part in self.rate.contractions(steps, self.eigenvalues)
        ]
        return np.maximum(np.concatenate(losses), 0) if losses else np.empty(0)

    def arrival(self) -> int:
        """Return after how many steps at a constant rate every direction has arrived to the last digit."""
        moving = (self.pull != 0) & (self.eigenvalues > 0)
        if not moving.any():
            return 1
        (one,) = self.rate.contractions(np.array([1]), self.eigenvalues[moving])
        with np.errstate(divide="ignore"):
            return max(1, math.ceil(np.max(LAST_DIGIT / one.log)))

    def stop(self, tol: float, patience: int, limit: int) -> int | None:
        """Return the step that is the ``patience``-th in a row to lower the loss by less than ``tol``.

        None when that is not within ``limit`` steps. At a constant rate each step gains less than the one
        before, so the first such step is found by bisection.
        """
        if isinstance(self.rate, Constant):
            steps = range(1, limit + 1)
            last = bisect.bisect_right(steps, -tol, key=lambda step: -self._gains(np.array([step]))[0])
            return last + patience if last + patience <= limit else None
        row = 0
        for first in range(1, limit + 1, CHUNK):
            gains = self._gains(np.arange(first, min(first + CHUNK, limit + 1)))
            for step, gain in enumerate(gains, first):
                row = row + 1 if gain < tol else 0
                if row == patience:
                    return step
        return None

    def _gains(self, steps: Steps) -> Floats:
        """By how much each of these steps lowers the loss."""
        rates = self.rate.at(steps)[:, None]
        squares = [np.exp(2 * part.log) for part in self.rate.contractions(steps - 1, self.eigenvalues)]
        gains: Floats = (np.concatenate(squares) * rates * (2 - rates * self.eigenvalues)) @ (
            self.pull**2 / 2
        )
        return gains


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """The point of gradient descent, on the objective without its l1 term, after any number of steps.

    Attributes:
        start: shape (d + 1,), the point it starts from.
        directions: shape (r, d + 1), the Hessian's eigenvectors.
        curve: the losses on the way.
    """

    start: Floats
    directions: Floats
    curve: Curve

    @classmethod
    def on(cls, objective: Objective, rate: Rate, start: Floats) -> "Descent":
        """Start from a point of shape (d + 1,)."""
        curve = Curve(rate, float(objective.loss(start)), objective.eigenvalues, objective.pull(start))
        return cls(start, objective.directions, curve)

    def point(self, steps: int) -> Floats:
        """Return the point, of shape (d + 1,), after so many steps."""
        curve = self.curve
        (part,) = curve.rate.contractions(np.array([steps]), curve.eigenvalues)
        shrunk = np.where(part.sign > 0, -np.expm1(part.log), 1 + np.exp(part.log))
        moved = _over(curve.eigenvalues, shrunk, part.travel)[0] * curve.pull
        point: Floats = self.start + moved @ self.directions
        return point


def _over(eigenvalues: Floats, shrunk: Floats, travel: Floats) -> Floats:
    """Divide 1 minus the contraction by the eigenvalue: how far the first gradient has been followed."""
    straight = travel * eigenvalues < STRAIGHT
    return np.where(straight, travel, shrunk / np.where(straight, 1.0, eigenvalues))
