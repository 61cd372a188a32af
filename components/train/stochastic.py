"""Mini-batch gradient descent: the rows in random order, a step for each few of them.

Few and large batches are stepped one by one, each by two products with the rows. Small ones, down to a single
row, would leave all the time to the interpreter, so about 64 rows are solved at once: the residual that a row
meets depends linearly on those of the rows before it, which makes a unit lower triangular system, and forward
substitution in it is the very recursion of the steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from components.train.objective import Objective

# Rows gathered at once: a chunk and its deviations stay in the cache.
CHUNK_VALUES = 131072
# Rows solved at once, and the batch from which a step of its own is cheaper.
BLOCK_ROWS = 64
LARGE_BATCH = 32

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some rows as descent sees them.

    Attributes:
        z: shape (m, d), the features in the objective's coordinates.
        target: shape (m,), in the objective's unit.
        weight: shape (m,), relative to the mean weight; None for ones.
    """

    z: Floats
    target: Floats
    weight: Floats | None

    def part(self, start: int, stop: int) -> "Rows":
        """Return the rows from start to stop."""
        weight = None if self.weight is None else self.weight[start:stop]
        return Rows(self.z[start:stop], self.target[start:stop], weight)


@dataclass(frozen=True, slots=True, eq=False)
class MiniBatches:
    """The rows of a dataset, in batches.

    Attributes:
        X: shape (n, d).
        y: shape (n,).
        weight: shape (n,), relative to the mean weight; None for ones.
        objective: gives the coordinates and the penalty.
        size: the rows in a batch; the last of an epoch may have fewer.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None
    objective: Objective
    size: int

    def shuffled(self, random: np.random.Generator) -> Iterator[Rows]:
        """Yield all rows in random order, a chunk of whole batches at a time."""
        chunk = max(1, CHUNK_VALUES // (self.X.shape[1] * self.size)) * self.size
        yield from self._gather(random.permutation(self.X.shape[0]), chunk)

    def count(self, rows: Rows) -> int:
        """Return the number of batches in a chunk."""
        return -(-rows.target.size // self.size)

    def descend(self, rows: Rows, point: Floats, rates: Floats) -> Floats:
        """Take a step for each batch of a chunk, at the given rates, from a point of shape (d + 1,)."""
        if self.size >= LARGE_BATCH:
            for batch, rate in enumerate(rates):
                point = self._step(rows.part(batch * self.size, (batch + 1) * self.size), point, float(rate))
            return point
        batches = BLOCK_ROWS // self.size
        for batch in range(0, rates.size, batches):
            block = rows.part(batch * self.size, (batch + batches) * self.size)
            point = self._steps(block, point, rates[batch : batch + batches])
        return point

    def sharpness(self) -> float:
        """Return twice the expected smoothness of a batch's loss, in O(n x d): rates below 2 / it are stable.

        Gower et al., "SGD: general analysis and improved rates", 2019, proposition 3.8: the smoothness lies
        between the largest curvature of a single row's loss (batches of one) and the curvature of the whole
        (a batch of all).
        """
        rows = self.X.shape[0]
        chunk = max(1, CHUNK_VALUES // self.X.shape[1])
        steepest = 0.0
        for part in self._gather(np.arange(rows), chunk):
            squares = 1 + np.einsum("ij,ij->i", part.z, part.z)
            steepest = max(steepest, float(np.max(squares if part.weight is None else squares * part.weight)))
        steepest = 2 * (steepest + self.objective.l2)
        share = min(self.size, rows) / rows
        alone = (1 - share) / max(share * (rows - 1), share)
        return 2 * float((1 - alone) * self.objective.steepest + alone * steepest)

    def _gather(self, order: NDArray[np.intp], chunk: int) -> Iterator[Rows]:
        # A ufunc's inner loop over a short row costs more than the arithmetic: hence flat, against a row
        # repeated.
        centre, scale = np.tile(self.objective.centre, chunk), np.tile(self.objective.scale, chunk)
        for start in range(0, order.size, chunk):
            index = order[start : start + chunk]
            z = self.X.take(index, axis=0).astype(np.float64, copy=False)
            flat = z.reshape(-1)
            flat -= centre[: flat.size]
            flat /= scale[: flat.size]
            target = self.y.take(index).astype(np.float64, copy=False)
            if self.objective.exponent:
                target = np.ldexp(target, -self.objective.exponent)
            yield Rows(z, target, None if self.weight is None else self.weight.take(index))

    def _step(self, rows: Rows, point: Floats, rate: float) -> Floats:
        residual = rows.target - rows.z.dot(point[:-1])
        residual -= point[-1]
        if rows.weight is not None:
            residual *= rows.weight
        step = 2 * rate / residual.size
        moved = np.empty_like(point)
        moved[:-1], moved[-1] = residual.dot(rows.z), np.add.reduce(residual)
        moved *= step
        moved += point
        if self.objective.l2:
            moved[:-1] -= 2 * rate * self.objective.l2 * point[:-1]
        return self.objective.shrink(moved, rate) if self.objective.l1 else moved

    def _steps(self, rows: Rows, point: Floats, rates: Floats) -> Floats:
        """Take the steps of a few small batches at once.

        The l1 term shrinks once for all of them (truncated gradient: Langford, Li and Zhang, "Sparse online
        learning via truncated gradient", 2009); all else is what steps one by one give.
        """
        leaves = 1 - 2 * rates * self.objective.l2
        chain = _chain(leaves.tobytes(), self.size, rows.target.size)
        gain = 2 * rates[chain.batch] / chain.batch_rows
        if rows.weight is not None:
            gain *= rows.weight
        weights, intercept = point[:-1], point[-1]
        influence = rows.z @ (rows.z * gain[:, None]).T
        influence *= chain.between
        influence += chain.earlier * gain
        residual = rows.target - chain.before * (rows.z @ weights) - intercept
        pull = gain * blas.dtrsv(influence.T, residual, lower=0, trans=1, diag=1)
        moved = np.append(chain.kept * weights + (chain.after * pull) @ rows.z, intercept + pull.sum())
        return self.objective.shrink(moved, float(rates.sum())) if self.objective.l1 else moved


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """What the l2 term leaves of the weights between the rows of k small batches, r rows in all.

    Attributes:
        batch: shape (r,), each row's batch.
        batch_rows: shape (r,), the number of rows in it.
        earlier: shape (r, r), 1 where the column's row comes in an earlier batch than the row's, else 0.
        between: shape (r, r), the part of the column's step left when the row's batch begins; 0 if not
            earlier.
        before: shape (r,), the part of the first weights left when the row's batch begins.
        after: shape (r,), the part of the row's step left at the end.
        kept: the part of the first weights left at the end.
    """

    batch: NDArray[np.intp]
    batch_rows: NDArray[np.intp]
    earlier: Floats
    between: Floats
    before: Floats
    after: Floats
    kept: float


@lru_cache(maxsize=4)
def _chain(leaves: bytes, size: int, rows: int) -> _Chain:
    """Chain what each step leaves; at a constant rate, or without the l2 term, all blocks share one chain."""
    parts = np.frombuffer(leaves)
    step = np.arange(parts.size)
    # products[t, s]: what the steps from s to before t leave.
    factors = np.where(step[:, None] >= np.arange(parts.size + 1), parts[:, None], 1.0)
    products = np.vstack([np.ones(parts.size + 1), np.cumprod(factors, axis=0)])
    batch = np.arange(rows) // size
    earlier = (batch[:, None] > batch).astype(np.float64)
    return _Chain(
        batch=batch,
        batch_rows=np.bincount(batch)[batch],
        earlier=earlier,
        between=earlier * products[:-1, 1:][batch[:, None], batch],
        before=products[:-1, 0][batch],
        after=products[-1, 1:][batch],
        kept=float(products[-1, 0]),
    )
