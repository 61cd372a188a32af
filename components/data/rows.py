"""Fingerprints of held-out rows, which tell how many rows two comparisons have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
        types: of the columns, so that other rows can be read in the same way; empty where not known.
    """

    columns: tuple[str, ...]
    fingerprints: tuple[int, ...]
    complete: bool
    types: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, columns: Mapping[str, NDArray[np.float64]], types: Mapping[str, str] | None = None
    ) -> "RowSketch":
        """Sketch rows given as columns of shape (n,)."""
        names = tuple(sorted(columns))
        hashes = hash_rows(columns[name] for name in names)
        return cls.of_hashes(hashes, names, tuple(types[name] for name in names) if types else ())

    @classmethod
    def of_hashes(
        cls, hashes: NDArray[np.uint64], columns: tuple[str, ...], types: tuple[str, ...] = ()
    ) -> "RowSketch":
        """Sketch rows given by their hashes, as ``hash_rows`` makes them of the columns in this order."""
        hashes = np.unique(hashes)
        return cls(columns, tuple(hashes[:SKETCH_SIZE].tolist()), hashes.size <= SKETCH_SIZE, types)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "RowSketch":
        """Read a sketch from JSON; earlier releases wrote no types."""
        return cls(
            tuple(document["columns"]),
            tuple(map(int, document["fingerprints"])),
            bool(document["complete"]),
            tuple(document.get("types", ())),
        )

    def comparable(self, other: "RowSketch") -> bool:
        """Return whether equal rows have equal fingerprints in both."""
        return self.columns == other.columns and (
            self.types == other.types or not self.types or not other.types
        )

    def matches(self, hashes: NDArray[np.uint64]) -> tuple[int, int]:
        """Look up rows, given by their hashes, in the sketched set.

        Returns:
            How many of them the sketch can decide about, which are a random part, and how many of these are
            in the set.
        """
        limit = 2**_BITS if self.complete else self.fingerprints[-1]
        decided = hashes[hashes <= np.uint64(limit)]
        found = np.isin(decided, np.array(self.fingerprints, dtype=np.uint64))
        return decided.size, int(found.sum())

    def share_in(self, other: "RowSketch") -> float:
        """Return the share of this set's rows that are in the other set too, from 0 to 1.

        A share above 256 rows is an estimate with a standard error of about 3 %. Rows with other columns
        count as the same rows, because they can't be shown to be different ones.
        """
        if not self.comparable(other):
            return 1.0
        # Up to this value both samples hold every fingerprint of their set.
        limit = min((one.fingerprints[-1] for one in (self, other) if not one.complete), default=2**_BITS)
        mine = {fingerprint for fingerprint in self.fingerprints if fingerprint <= limit}
        return len(mine.intersection(other.fingerprints)) / len(mine) if mine else 1.0


def hash_rows(columns: Iterable[NDArray[np.float64]]) -> NDArray[np.uint64]:
    """Hash each row of the columns, each of shape (n,), in their order, to 48 bits."""
    state: NDArray[np.uint64] | None = None
    for values in columns:
        if state is None:
            state = np.full(values.shape, _GAMMA, dtype=np.uint64)
        # -0.0 + 0.0 is 0.0, and there is one NaN: equal values have equal bits.
        bits = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
        state = _mix((state ^ bits) * _FIRST + _GAMMA)
    if state is None:
        raise ValueError("rows without columns have no hash")
    return state >> np.uint64(64 - _BITS)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))
