"""Learning rates, and what any number of steps at them does to the gradient.

Along an eigenvector of the Hessian with eigenvalue λ, a step at rate η shrinks the gradient by 1 - ηλ, so
that k steps move by (1 - (1 - ηλ)^k) / λ times the first gradient. Through log1p and expm1 this keeps its
digits for ηλ of any size; for ηλ = 0 it is kη.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
    """A schedule of learning rates; the first one is the largest."""

    @property
    def first(self) -> float:
        """The rate of the first step."""

    def at(self, step: Steps) -> Floats:
        """Return the rates of steps counted from 1."""

    def contractions(self, steps: Steps, eigenvalues: Floats) -> Iterator[Contraction]:
        """Yield in chunks what ascending numbers of steps do."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate at every step."""

    first: float

    def at(self, step: Steps) -> Floats:
        """Return the rates of steps counted from 1."""
        return np.full(step.shape, self.first)

    def contractions(self, steps: Steps, eigenvalues: Floats) -> Iterator[Contraction]:
        """Yield in chunks what ascending numbers of steps do."""
        log, negative = _log_shrinkage(self.first * eigenvalues)
        for start in range(0, steps.size, CHUNK):
            count = steps[start : start + CHUNK, None]
            yield Contraction(
                # No step has no effect, also where one step is enough for good (0 times -inf).
                log=np.multiply(count, log, where=count > 0, out=np.zeros((count.size, log.size))),
                sign=np.where(negative & (count % 2 == 1), -1.0, 1.0),
                travel=self.first * count.astype(np.float64),
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
            shrinkage, flips = _log_shrinkage(rates[:, None] * eigenvalues)
            logs = log + np.cumsum(shrinkage, axis=0)
            negatives = negative + np.cumsum(flips, axis=0)
            travels = travel + np.cumsum(rates)
            log, negative, travel = logs[-1], negatives[-1], float(travels[-1])
            low, high = np.searchsorted(steps, [start, start + CHUNK])
            if low < high:
                row = steps[low:high] - start
                yield Contraction(logs[row], np.where(negatives[row] % 2, -1.0, 1.0), travels[row, None])


def _log_shrinkage(products: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return log abs(1 - ηλ) and where 1 - ηλ is negative, for products ηλ from 0 to below 2."""
    with np.errstate(divide="ignore"):
        negative = products > 1
        return np.log1p(np.where(negative, products - 2, -products)), negative
