"""Turning columns as they come, numbers or text, into doubles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.data.problems import ROWS_LISTED


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of doubles.

    Attributes:
        values: shape (n,); NaN where a value is missing or is not a number.
        not_numbers: the rows of values that are there but are not numbers, increasing.
        samples: the first of these as they were read, by row.
    """

    values: NDArray[np.float64]
    not_numbers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    samples: Mapping[int, str] = field(default_factory=dict)

    def show(self, row: int) -> str:
        """Write the value of a row as it was read."""
        return self.samples.get(row) or f"{self.values[row]:g}"

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Numbers":
        """Convert a column of any type; text holds numbers as a program writes them (``-1.5e3``)."""
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return _parse(pc.utf8_trim_whitespace(column.cast(pa.large_string())))
        if pa.types.is_null(kind):
            return cls(np.full(len(column), np.nan))
        if pa.types.is_boolean(kind):
            return cls(_doubles(column.cast(pa.uint8())))
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            # Integers beyond 2**53 are rounded, as any arithmetic in doubles would.
            return cls(_doubles(column.cast(pa.float64(), safe=False)))
        return _refuse(column, np.full(len(column), np.nan))

    @classmethod
    def joined(cls, parts: Sequence["Numbers"]) -> "Numbers":
        """Put columns one after the other."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(part.values.size for part in parts)])
        samples = {
            int(start) + row: value
            for start, part in zip(starts, parts, strict=False)
            for row, value in part.samples.items()
        }
        return cls(
            values=np.concatenate([part.values for part in parts]),
            not_numbers=np.concatenate(
                [start + part.not_numbers for start, part in zip(starts, parts, strict=False)]
            ),
            samples=samples,
        )


def _parse(text: pa.ChunkedArray) -> Numbers:
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    try:
        return Numbers(_doubles(text.cast(pa.float64())))
    except pa.ArrowInvalid:  # it stops at the first value that is no number, and doesn't say where
        import pandas as pd  # it takes a second to import, and the step that plans needs none of it

        return _refuse(text, pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=np.float64))


def _refuse(column: pa.ChunkedArray, values: NDArray[np.float64]) -> Numbers:
    """Take what is there, but became NaN, for not a number."""
    there = column.is_valid().to_numpy()
    rows = np.flatnonzero(there & np.isnan(values))
    samples = {int(row): repr(column[int(row)].as_py()) for row in rows[:ROWS_LISTED]}
    return Numbers(values, rows, samples)


def _doubles(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return column.to_numpy().astype(np.float64, copy=False)
