"""How rows become a dataset: which columns, which rows are held out, what is allowed in them."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.ingest.problems import Problem

Mask = NDArray[np.bool_]

DUPLICATES = ("report", "drop", "fail")
MIN_TRAIN_ROWS = 10
MIN_TEST_ROWS = 2
# Rows are chosen at random within blocks of so many, so that a shard need not know of the others' choices.
BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of ingest.

    Attributes:
        features: the columns to learn from, in their order.
        target: the column to predict.
        test_rows: how many of the last rows, in the order of the source, are held out.
        test_share: if positive, hold out this share of the rows at random instead.
        seed: of that random choice.
        duplicates: what to do with a row whose features and target all equal those of an earlier one:
            ``report`` counts it, ``drop`` leaves it out, ``fail`` refuses the data. With few or rounded
            columns equal rows are to be expected of honest measurements (the diabetes data has two by bmi and
            target, from different people), and leaving them out would bias the fit. So they are only
            reported unless told otherwise.
        kept_rows: of more training rows than this, so many at random are what a search compares candidates on
            and what the distributions are of. The fit itself is to the moments of all.
        ranges: (lowest, highest) allowed value by column, either may be ``None``.
        units: of the columns that have one.
    """

    features: Sequence[str] = ("bmi",)
    target: str = "target"
    test_rows: int = 20
    test_share: float = 0.0
    seed: int = 0
    duplicates: str = "report"
    kept_rows: int = 1_000_000
    ranges: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The features in their order, then the target."""
        return (*self.features, self.target)

    def split(self, rows: int, first: int = 0, total: int | None = None) -> tuple[Mask, Mask]:
        """Choose the rows to hold out, and the training rows to keep, the same wherever this runs.

        Args:
            rows: how many there are here.
            first: how many stand before them in other shards.
            total: how many there are in all shards; without it, these are all.

        Returns:
            Two masks of shape (rows,): held out, and kept.
        """
        total = first + rows if total is None else total
        held_out, kept = np.zeros(rows, dtype=np.bool_), np.zeros(rows, dtype=np.bool_)
        keeping = min(self.kept_rows / max(total, 1), 1.0)
        if self.test_share == 0:
            held_out[max(total - self.test_rows - first, 0) :] = True
        for start in range(first // BLOCK_ROWS * BLOCK_ROWS, first + rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, total)
            # Numpy promises the same stream in all releases for this generator, not for default_rng.
            order = np.random.RandomState((self.seed + start // BLOCK_ROWS) % 2**32).permutation(stop - start)
            tested = _quota(self.test_share, start, stop)
            for mask, chosen in (
                (held_out, order[:tested]),
                (kept, order[tested:][: _quota(keeping, start, stop)]),
            ):
                here = chosen + (start - first)
                mask[here[(here >= 0) & (here < rows)]] = True
        return held_out, kept & ~held_out

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return {**asdict(self), "features": list(self.features)}

    def problems(self) -> list[Problem]:
        """Find everything that makes no sense, before any data is read."""
        return [Problem(what) for what in (*self._column_problems(), *self._value_problems())]

    def _column_problems(self) -> Iterator[str]:
        if isinstance(self.features, str):
            yield f"features must be a list of names, not {self.features!r}"
            return
        for name in self.columns:
            if not name or str(name) != name:
                yield f"{name!r} is not the name of a column"
        if not self.features:
            yield "no feature is named"
        for name, times in Counter(self.features).items():
            if times > 1:
                yield f"feature {name!r} is named {times} times"
        if self.target in self.features:
            yield f"the target {self.target!r} is among the features"
        for parameter, names in (("ranges", self.ranges), ("units", self.units)):
            for name in sorted(set(names) - set(self.columns)):
                yield f"{parameter} names {name!r}, which is neither a feature nor the target"

    def _value_problems(self) -> Iterator[str]:
        if not 0 <= self.test_share < 1:
            yield f"test_share must be at least 0 and less than 1, not {self.test_share}"
        if self.test_share == 0 and self.test_rows < MIN_TEST_ROWS:
            yield f"test_rows must be at least {MIN_TEST_ROWS}, not {self.test_rows}"
        for name, bounds in self.ranges.items():
            if not _is_range(bounds):
                yield f"the range of {name!r} must be [lowest, highest], numbers or null, not {bounds!r}"
        if not 0 <= self.seed < 2**32:
            yield f"seed must be at least 0 and less than 2**32, not {self.seed}"
        if self.kept_rows < MIN_TRAIN_ROWS:
            yield f"kept_rows must be at least {MIN_TRAIN_ROWS}, not {self.kept_rows}"
        if self.duplicates not in DUPLICATES:
            yield f"duplicates must be one of {', '.join(DUPLICATES)}, not {self.duplicates!r}"


def too_few(train: int, test: int, features: int) -> str | None:
    """Say so if there are too few rows: a line through d + 1 of them says nothing, it passes through all."""
    least = max(MIN_TRAIN_ROWS, features + 2)
    if train >= least and test >= MIN_TEST_ROWS:
        return None
    return f"too few rows: {train} to learn from, {test} held out; needed are {least} and {MIN_TEST_ROWS}"


def _quota(share: float, start: int, stop: int) -> int:
    """How many of the rows from start to stop are chosen, so that all blocks together have their share."""
    return round(stop * share) - round(start * share)


def _is_range(bounds: object) -> bool:
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        return False
    low, high = (
        default if bound is None else bound
        for bound, default in zip(bounds, (-math.inf, math.inf), strict=True)
    )
    return all(isinstance(bound, int | float) for bound in (low, high)) and low <= high
