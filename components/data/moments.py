"""Moments of a dataset: the number of rows, means and co-moments, all that least squares needs of it.

Moments of parts merge into the moments of the whole (Chan, Golub and LeVeque, "Updating formulae and a
pairwise algorithm for computing sample variances", 1979), so that parts can be read anywhere and in any
order.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.gram import gram

FORMAT_VERSION = 1
# Above this ratio of squared offset to variance, digits of the variance are lost and the shift is chosen
# anew.
MAX_CANCELLATION = 1e3
# A mean of up to so many deviations need not be subtracted before squaring: it costs two digits of sixteen.
NEAR_ZERO = 8.0
# Below this variance, squares of deviations have lost digits to underflow.
MIN_VARIANCE = 2.0**-900

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of the d features and the target, in this order, as p = d + 1 columns.

    A column c is held in units of ``2**exponent``, which is 1 unless its squares would overflow or underflow.
    Its mean is held as the sum ``shift + offset``: for a mean of 1e8 and a deviation of 1 the offset keeps
    the digits that the mean itself has no room for, and merging needs them.

    Attributes:
        rows: how many rows there are.
        weight: the sum of their weights; the number of rows where there are none.
        shift: shape (p,), a value near the mean.
        offset: shape (p,), the weighted mean minus the shift.
        comoment: shape (p, p), the weighted sum of products of deviations from the mean.
        exponent: shape (p,), integers.
    """

    rows: int
    weight: float
    shift: Floats
    offset: Floats
    comoment: Floats
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, X: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None = None) -> "Moments":
        """Take the moments of X of shape (n, d) and y of shape (n,), n > 0, in one pass.

        Values that are not finite give moments that are not finite. Finite ones never do, however large.
        """
        shift = _central_values(X, y)
        exponent = np.zeros(shift.size, dtype=np.int64)
        moments = cls._around(X, y, weight, shift, exponent)
        if not moments.accurate and (exponent := _exponents(X, y, moments)).any():
            shift = np.ldexp(shift, -exponent)
            moments = cls._around(X, y, weight, shift, exponent)
        with np.errstate(all="ignore"):
            cancelled = moments.weight * moments.offset**2 > MAX_CANCELLATION * np.diag(moments.comoment)
        if cancelled.any():
            return cls._around(X, y, weight, shift + moments.offset, exponent)
        return moments

    @classmethod
    def _around(
        cls,
        X: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        shift: Floats,
        exponent: NDArray[np.int64],
    ) -> "Moments":
        sums = gram(X, y, weight, shift, exponent)
        with np.errstate(all="ignore"):
            total = float(sums[0, 0])
            offset = sums[0, 1:] / total
            comoment = sums[1:, 1:] - total * np.outer(offset, offset)
        # Rounding may leave a hair below zero.
        np.fill_diagonal(comoment, np.maximum(np.diag(comoment), 0))
        return cls(X.shape[0], total, shift, offset, comoment, exponent)

    @property
    def features(self) -> int:
        """The number d of features."""
        return self.shift.size - 1

    @property
    def mean(self) -> Floats:
        """The weighted means, of shape (p,), in units of ``2**exponent``."""
        return self.shift + self.offset

    @property
    def covariance(self) -> Floats:
        """The weighted covariances (divided by the weight), of shape (p, p), in units of ``2**exponent``."""
        return self.comoment / self.weight

    @property
    def finite(self) -> bool:
        """Whether all values were finite, and none of their squares overflowed."""
        return bool(np.isfinite(self.offset).all() and np.isfinite(self.comoment).all())

    @property
    def accurate(self) -> bool:
        """Whether no square of a deviation overflowed or lost digits to underflow."""
        return self.finite and bool((np.diag(self.comoment) >= self.weight * MIN_VARIANCE).all())

    def of_features(self, features: Sequence[int]) -> "Moments":
        """Return the moments of some of the features, by their positions, and the target."""
        columns = np.array([*features, self.features])
        return replace(
            self,
            shift=self.shift[columns],
            offset=self.offset[columns],
            comoment=self.comoment[np.ix_(columns, columns)],
            exponent=self.exponent[columns],
        )

    def combined(
        self, columns: Sequence[int | None], additions: Sequence[tuple[int, int, float]] = ()
    ) -> "Moments":
        """Return the moments of columns that are made of these: linear combinations have exact moments.

        Args:
            columns: of each new column, the present one that it is, the target among them; None for zeros.
            additions: (i, j, factor): to the new column i, factor times the present column j is added.
        """
        sources = sorted({source for _, source, _ in additions})
        chosen = [*columns, *sources]
        positions = np.array([0 if column is None else column for column in chosen])
        there = np.array([column is not None for column in chosen])
        shift = np.where(there, self.shift[positions], 0.0)
        offset = np.where(there, self.offset[positions], 0.0)
        comoment = np.where(np.outer(there, there), self.comoment[np.ix_(positions, positions)], 0.0)
        exponent = np.where(there, self.exponent[positions], 0)
        for column, source, factor in additions:
            added = len(columns) + sources.index(source)
            unit = float(np.ldexp(factor, int(exponent[added] - exponent[column])))
            offset[column] += unit * (shift[added] + offset[added])
            comoment[column] += unit * comoment[added]
            comoment[:, column] += unit * comoment[:, added]
        kept = slice(len(columns))
        return replace(
            self,
            shift=shift[kept],
            offset=offset[kept],
            comoment=comoment[kept, kept],
            exponent=exponent[kept],
        )

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of the rows of both.

        Raises:
            ValueError: they don't describe the same number of features.
        """
        if self.features != other.features:
            raise ValueError(f"moments of {self.features} and of {other.features} features can't be merged")
        exponent = np.maximum(self.exponent, other.exponent)
        left, right = self._in_units_of(exponent), other._in_units_of(exponent)  # noqa: SLF001
        weight = left.weight + right.weight
        # The difference of two shifts near each other is exact, so no digit of the offsets is lost.
        delta = (right.shift - left.shift) + (right.offset - left.offset)
        share = right.weight / weight
        return Moments(
            rows=left.rows + right.rows,
            weight=weight,
            shift=left.shift,
            offset=left.offset + delta * share,
            comoment=left.comoment + right.comoment + np.outer(delta, delta) * (left.weight * share),
            exponent=exponent,
        )

    def _in_units_of(self, exponent: NDArray[np.int64]) -> "Moments":
        down = self.exponent - exponent
        if not down.any():
            return self
        return Moments(
            rows=self.rows,
            weight=self.weight,
            shift=np.ldexp(self.shift, down),
            offset=np.ldexp(self.offset, down),
            comoment=np.ldexp(self.comoment, down[:, None] + down),
            exponent=exponent,
        )

    def to_json(self) -> str:
        """Write the moments as text from which ``from_json`` reads the very same numbers."""
        document = {
            "format_version": FORMAT_VERSION,
            "rows": self.rows,
            "weight": self.weight.hex(),
            "shift": [value.hex() for value in self.shift.tolist()],
            "offset": [value.hex() for value in self.offset.tolist()],
            "comoment": [[value.hex() for value in row] for row in self.comoment.tolist()],
            "exponent": self.exponent.tolist(),
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> "Moments":
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: the text is something else. It says what.
        """
        try:
            document = json.loads(text)
            version = document["format_version"]
            if version != FORMAT_VERSION:
                raise ValueError(f"unsupported format version {version!r}; known is {FORMAT_VERSION}")
            moments = cls(
                rows=int(document["rows"]),
                weight=float.fromhex(document["weight"]),
                shift=_floats(document["shift"]),
                offset=_floats(document["offset"]),
                comoment=np.array([_floats(row) for row in document["comoment"]]),
                exponent=np.array(document["exponent"], dtype=np.int64),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"not the moments of a dataset: {error!r}") from error
        columns = moments.shift.size
        shapes = (moments.offset.shape, moments.exponent.shape, moments.comoment.shape)
        if columns < 2 or shapes != ((columns,), (columns,), (columns, columns)):
            raise ValueError(f"not the moments of a dataset: {columns} shifts beside shapes {shapes}")
        if moments.rows < 1 or not (
            moments.weight > 0 and moments.finite and np.isfinite(moments.shift).all()
        ):
            raise ValueError("not the moments of a dataset: a number is not finite, or there are no rows")
        return moments


def merge(parts: Iterable[Moments]) -> Moments:
    """Merge the moments of parts pairwise, so that rounding grows with the logarithm of their number.

    Raises:
        ValueError: there are no parts, or they don't describe the same number of features.
    """
    pending: list[tuple[int, Moments]] = []
    for part in parts:
        rank = 0
        while pending and pending[-1][0] == rank:
            part = pending.pop()[1].merge(part)
            rank += 1
        pending.append((rank, part))
    if not pending:
        raise ValueError("there are no moments to merge")
    return reduce(lambda right, left: left.merge(right), (moments for _, moments in reversed(pending)))


def _central_values(X: NDArray[Any], y: NDArray[Any], sample: int = 33) -> Floats:
    """Medians of a few rows spread over all, or zeros where a median costs no digits.

    A median is never farther from its sample's mean than the deviation.
    """
    rows = np.linspace(0, X.shape[0] - 1, min(X.shape[0], sample) | 1).astype(np.intp)
    values = np.column_stack([X[rows], y[rows]]).astype(np.float64)
    middle: Floats = np.partition(values, rows.size // 2, axis=0)[rows.size // 2]
    with np.errstate(all="ignore"):
        return np.where(np.abs(middle) <= NEAR_ZERO * values.std(axis=0), 0.0, middle)


def _exponents(X: NDArray[Any], y: NDArray[Any], moments: Moments) -> NDArray[np.int64]:
    """Binary exponents that bring columns whose squares over- or underflowed into the range of squares."""
    exponents = np.zeros(moments.shift.size, dtype=np.int64)
    variances = np.diag(moments.comoment) / moments.weight
    columns: Sequence[NDArray[Any]] = [*X.T, y]
    for index, column in enumerate(columns):
        if not MIN_VARIANCE <= variances[index] < np.inf:
            low, high = float(column.min()), float(column.max())
            spread = high / 2 - low / 2
            if spread > 0 and np.isfinite(spread):
                exponents[index] = np.frexp(max(abs(low), abs(high)))[1]
    return exponents


def _floats(values: Iterable[str]) -> Floats:
    return np.array([float.fromhex(value) for value in values])
