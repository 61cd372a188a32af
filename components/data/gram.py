"""One pass over the rows: the Gram matrix around a shift, block by block in the processor's cache."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

# Values in a block: what is read for one product is still in the cache for the next, and each product lasts
# long enough for threads not to queue for the interpreter's lock.
BLOCK_VALUES = 131072
MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 512, 65536
# Values from which threads pay. The parts don't depend on their number, so that no rounding does.
PARALLEL_VALUES = 1_000_000
PARTS = 4

Floats = NDArray[np.float64]


def gram(
    X: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any] | None,
    shift: Floats,
    exponent: NDArray[np.int64],
) -> Floats:
    """Sum the weighted Gram matrix of the columns (1, x - shift, y - shift) pairwise over blocks of rows.

    Args:
        X: shape (n, d), float32 or float64.
        y: shape (n,).
        weight: shape (n,), or None for ones.
        shift: shape (d + 1,), in units of ``2**exponent``.
        exponent: shape (d + 1,).

    Returns:
        Shape (d + 2, d + 2).
    """
    if X.size < PARALLEL_VALUES:
        whole = _Part(X, y, weight, shift, exponent)
        if whole.block_rows == whole.rows:
            return whole.gram()
        with _blas().limit(limits=1, user_api="blas"):
            return whole.gram()
    edges = [X.shape[0] * part // PARTS for part in range(PARTS + 1)]
    parts = [
        _Part(X[low:high], y[low:high], None if weight is None else weight[low:high], shift, exponent)
        for low, high in pairwise(edges)
    ]
    with (
        _blas().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(min(PARTS, os.cpu_count() or 1)) as pool,
    ):
        first, second, third, fourth = pool.map(_Part.gram, parts)
    return (first + second) + (third + fourth)


@cache
def _blas() -> ThreadpoolController:
    """Return the control of BLAS threads: dividing each small product among threads costs more than it."""
    return ThreadpoolController()


class _Part:
    """The rows that one thread sums."""

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
        block_rows = max(BLOCK_VALUES // self.features, MIN_BLOCK_ROWS)
        self.block_rows = min(self.rows, block_rows, MAX_BLOCK_ROWS)
        # What needs no change is read where it is.
        self.X_as_is = X.dtype == np.float64 and not shift[:-1].any() and not exponent[:-1].any()
        self.y_as_is = y.dtype == np.float64 and not shift[-1] and not exponent[-1]
        self.by_row = bool(X.flags.c_contiguous)
        if (self.features == 1 or self.by_row) and not self.X_as_is:
            self.deviations = np.empty((self.block_rows, self.features))
        if self.features == 1:
            self.ones = np.ones(self.block_rows)
            self.target = np.empty(0 if self.y_as_is else self.block_rows)
            return
        self.columns = np.ones((self.block_rows, self.features + 2), order="C" if self.by_row else "F")
        if self.by_row:
            # A ufunc's inner loop over a short row costs more than the arithmetic: hence flat, and whole rows
            # copied as one value each.
            self.flat_shift = None if exponent[:-1].any() else np.tile(shift[:-1], self.block_rows)
            row = np.dtype((np.void, 8 * self.features))
            self.packed = np.ndarray(
                self.block_rows, row, self.columns.data, offset=8, strides=self.columns.strides[:1]
            )

    def gram(self) -> Floats:
        """Return the part's sum, of shape (d + 2, d + 2)."""
        with np.errstate(all="ignore"):
            return self._sum(0, self.rows)

    def _sum(self, start: int, stop: int) -> Floats:
        blocks = -(-(stop - start) // self.block_rows)
        if blocks == 1:
            block = self._single if self.features == 1 else self._several
            return block(start, stop)
        middle = start + blocks // 2 * self.block_rows
        return self._sum(start, middle) + self._sum(middle, stop)

    def _several(self, start: int, stop: int) -> Floats:
        """Multiply the columns (1, x, y) side by side: a matrix with itself is half the work of two."""
        z = self.columns[: stop - start]
        if self.by_row:
            x = self._x(start, stop)
            self.packed[: stop - start] = x.view(self.packed.dtype)[:, 0]
        else:
            _subtract(self.X[start:stop], self.shift[:-1], self.exponent[:-1], out=z[:, 1:-1])
        _subtract(self.y[start:stop], self.shift[-1], self.exponent[-1], out=z[:, -1])
        # Unlike @, dot releases the interpreter's lock: the parts really run side by side.
        sums: Floats = np.dot(z.T, z if self.weight is None else z * self.weight[start:stop, np.newaxis])
        return sums

    def _single(self, start: int, stop: int) -> Floats:
        """Sum one feature by dot products, which are twice as fast as products of narrow matrices."""
        x, y = self._x(start, stop)[:, 0], self._y(start, stop)
        weight = self.ones[: stop - start] if self.weight is None else self.weight[start:stop]
        wx, wy = (x, y) if self.weight is None else (x * weight, y * weight)
        total = float(stop - start) if self.weight is None else weight.sum()
        sum_x, sum_y, xy = x.dot(weight), y.dot(weight), wx.dot(y)
        return np.array([[total, sum_x, sum_y], [sum_x, wx.dot(x), xy], [sum_y, xy, wy.dot(y)]])

    def _x(self, start: int, stop: int) -> Floats:
        if self.X_as_is:
            return self.X[start:stop]
        deviations = self.deviations[: stop - start]
        if self.features == 1 or self.flat_shift is None:
            _subtract(self.X[start:stop], self.shift[:-1], self.exponent[:-1], out=deviations)
        else:
            flat = deviations.reshape(-1)
            np.subtract(self.X[start:stop].reshape(-1), self.flat_shift[: flat.size], out=flat)
        return deviations

    def _y(self, start: int, stop: int) -> Floats:
        if self.y_as_is:
            return self.y[start:stop]
        target = self.target[: stop - start]
        _subtract(self.y[start:stop], self.shift[-1], self.exponent[-1], out=target)
        return target


def _subtract(values: NDArray[Any], shift: Any, exponent: Any, out: Floats) -> None:
    if np.any(exponent):
        values = np.ldexp(values.astype(np.float64), -exponent)
    np.subtract(values, shift, out=out)
