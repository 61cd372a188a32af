"""Proximal gradient descent for a penalty with corners, on the moments: the data are never touched.

Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", 2009,
section 1: a gradient step on the smooth part, then weights move towards zero and stop there.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.train.objective import Objective
from components.train.rates import CHUNK, Rate

STEPS_PER_CHECK = 64

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ProximalDescent:
    """The points that proximal gradient descent passes, up to its fixed point.

    Attributes:
        objective: what is minimised.
        rate: the learning rates.
        start: shape (d + 1,), the point it starts from.
    """

    objective: Objective
    rate: Rate
    start: Floats

    def run(self, limit: int, tol: float | None, patience: int) -> tuple[Floats, int, bool]:
        """Return where at most ``limit`` steps lead, the number of steps, and whether ``tol`` was met.

        It is met at the ``patience``-th step in a row that lowers the loss by less than ``tol``.
        """
        if tol is None:
            point = self.start
            for point in self._points(limit):  # noqa: B007 - the last one is wanted
                pass
            return point, limit, True
        best, row = float(self.objective.loss(self.start)), 0
        step, point = 0, self.start
        for step, point in enumerate(self._points(limit), 1):
            loss = float(self.objective.loss(point))
            row = row + 1 if loss > best - tol else 0
            best = min(best, loss)
            if row == patience:
                return point, step, True
        # At the fixed point every further step gains nothing.
        step = step + patience - row
        return point, min(step, limit), step <= limit

    def to_minimum(self, limit: int) -> tuple[Floats, int]:
        """Return where at most ``limit`` steps lead, and their number; descent ends early at the minimum."""
        negligible = np.finfo(np.float64).eps * float(self.objective.loss(self.start))
        step, point = 0, self.start
        for step, point in enumerate(self._points(limit), 1):
            if step % STEPS_PER_CHECK == 0 and self.objective.gap(point) <= negligible:
                break
        return point, step

    def loss(self, steps: Steps) -> Floats:
        """Return the losses, of shape (K,), after each of K ascending numbers of steps, all run again."""
        losses, read = np.empty(steps.size), 0
        last = int(steps[-1]) if steps.size else 0
        point = self.start
        for step, point in enumerate(itertools.chain([self.start], self._points(last))):
            while read < steps.size and steps[read] == step:
                losses[read] = self.objective.loss(point)
                read += 1
        losses[read:] = self.objective.loss(point)
        return losses

    def _points(self, limit: int) -> Iterator[Floats]:
        """Yield the point after each step; end early where it moves by rounding alone."""
        before, point = self.start, self.start
        for first in range(1, limit + 1, CHUNK):
            for rate in self.rate.at(np.arange(first, min(first + CHUNK, limit + 1))):
                moved = self.objective.shrink(point - rate * self.objective.gradient(point), rate)
                yield moved
                if (moved == point).all() or (moved == before).all():
                    return
                before, point = point, moved
