"""One pass over the rows: the Gram matrix around a shift, block by block in the processor's cache."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Values a block holds: the block and the shift beside it stay in a core's second-level cache.
BLOCK_VALUES = 65536
MIN_BLOCK_ROWS = 512

Floats = NDArray[np.float64]


class Gram:
    """The weighted Gram matrix of the columns (1, x - shift, y - shift), summed pairwise over blocks of rows.

    Args:
        X: shape (n, d), float32 or float64.
        y: shape (n,).
        weight: shape (n,), or None for ones.
        shift: shape (d + 1,), in units of ``2**exponent``.
        exponent: shape (d + 1,).
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        shift: Floats,
        exponent: NDArray[np.int64],
    ) -> None:
        self.X, self.y, self.weight = X, y, weight
        self.shift, self.exponent = shift, exponent
        self.rows, self.features = X.shape
        self.block_rows = min(self.rows, max(BLOCK_VALUES // self.features, MIN_BLOCK_ROWS))
        by_column = X.flags.f_contiguous and not X.flags.c_contiguous
        self.deviations = np.empty((self.block_rows, self.features), order="F" if by_column else "C")
        # A ufunc's inner loop over a short row costs more than the arithmetic: one flat row repeated avoids
        # it.
        self.flat_shift = (
            np.tile(shift[:-1], self.block_rows) if X.flags.c_contiguous and not exponent.any() else None
        )
        self.sides = np.ones((self.block_rows, 2), order="F")

    def __call__(self) -> Floats:
        """Return the matrix, of shape (d + 2, d + 2)."""
        with np.errstate(all="ignore"):
            return self._sum(0, self.rows)

    def _sum(self, start: int, stop: int) -> Floats:
        blocks = -(-(stop - start) // self.block_rows)
        if blocks == 1:
            return self._block(start, stop)
        middle = start + blocks // 2 * self.block_rows
        return self._sum(start, middle) + self._sum(middle, stop)

    def _block(self, start: int, stop: int) -> Floats:
        rows = stop - start
        deviations, sides = self._deviations(start, stop), self.sides[:rows]
        self._subtract(self.y[start:stop], -1, out=sides[:, 1])
        gram = np.empty((self.features + 2, self.features + 2))
        if self.weight is None:
            gram[1:-1, 1:-1] = deviations.T @ deviations
            gram[1:-1, 0 :: self.features + 1] = deviations.T @ sides
            gram[0 :: self.features + 1, 0 :: self.features + 1] = sides.T @ sides
        else:
            weight = self.weight[start:stop, None]
            gram[1:-1, 1:-1] = (deviations * weight).T @ deviations
            weighted = sides * weight
            gram[1:-1, 0 :: self.features + 1] = deviations.T @ weighted
            gram[0 :: self.features + 1, 0 :: self.features + 1] = weighted.T @ sides
        gram[0 :: self.features + 1, 1:-1] = gram[1:-1, 0 :: self.features + 1].T
        return gram

    def _deviations(self, start: int, stop: int) -> Floats:
        deviations = self.deviations[: stop - start]
        if self.flat_shift is None:
            self._subtract(self.X[start:stop], slice(None, -1), out=deviations)
        else:
            flat = deviations.reshape(-1)
            np.subtract(self.X[start:stop].reshape(-1), self.flat_shift[: flat.size], out=flat)
        return deviations

    def _subtract(self, values: NDArray[Any], column: int | slice, out: Floats) -> None:
        exponent = self.exponent[column]
        if exponent.any():
            values = np.ldexp(values.astype(np.float64), -exponent)
        np.subtract(values, self.shift[column], out=out)
