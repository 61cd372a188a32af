"""Fingerprints of held-out rows, which tell how many rows two comparisons have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SKETCH_SIZE = 256
_BITS = 48
# Constants of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
_GAMMA, _FIRST, _SECOND = (
    np.uint64(constant) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


@dataclass(frozen=True, slots=True)
class RowSketch:
    """A sample of the fingerprints of a set of rows, from which the overlap of two sets is estimated.

    The sample is the ``SKETCH_SIZE`` smallest fingerprints (a bottom-k sketch; Cohen and Kaplan, Summarizing
    data using bottom-k sketches, 2007). A set of at most that many rows is kept whole.

    Attributes:
        columns: names of the columns that were hashed, sorted. Rows with other columns can't be compared.
        fingerprints: 48 bits of each hash, increasing.
        complete: whether these are all of the set's fingerprints.
    """

    columns: tuple[str, ...]
    fingerprints: tuple[int, ...]
    complete: bool

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[np.float64]]) -> "RowSketch":
        """Sketch rows given as columns of shape (n,)."""
        names = tuple(sorted(columns))
        hashes = np.unique(_hash([columns[name] for name in names]))
        return cls(names, tuple(hashes[:SKETCH_SIZE].tolist()), hashes.size <= SKETCH_SIZE)

    def share_in(self, other: "RowSketch") -> float:
        """Return the share of this set's rows that are in the other set too, from 0 to 1.

        A share above 256 rows is an estimate with a standard error of about 3 %. Rows with other columns
        count as the same rows, because they can't be shown to be different ones.
        """
        if self.columns != other.columns:
            return 1.0
        # Up to this value both samples hold every fingerprint of their set.
        limit = min((one.fingerprints[-1] for one in (self, other) if not one.complete), default=2**_BITS)
        mine = {fingerprint for fingerprint in self.fingerprints if fingerprint <= limit}
        return len(mine.intersection(other.fingerprints)) / len(mine) if mine else 1.0


def _hash(columns: list[NDArray[np.float64]]) -> NDArray[np.uint64]:
    """Hash each row of the columns, in their order, to 48 bits."""
    state = np.full(columns[0].shape, _GAMMA, dtype=np.uint64)
    for values in columns:
        # -0.0 + 0.0 is 0.0, and there is one NaN: equal values have equal bits.
        bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
        state = _mix((state ^ bits) * _FIRST + _GAMMA)
    return state >> np.uint64(64 - _BITS)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))
