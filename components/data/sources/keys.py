"""The column that decides which rows are held out, as numbers: positions in an order, or draws of groups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.data.problems import ROWS_LISTED, Problem
from components.data.settings import Settings
from components.data.sources import values
from components.data.sources.values import Values, as_text, trimmed
from components.data.split import group_draw

_REASON = "is neither a number nor a date such as 2026-01-31 or 2026-01-31T08:30:00"


@dataclass(frozen=True, slots=True)
class Key:
    """Values of the column that decides.

    Attributes:
        kind: what they are.
        values: of an order the number, or the microseconds since 1970; of a group its draw. NaN where there
            is no value, or none that can be ordered.
    """

    kind: Literal["number", "date", "group"]
    values: Values

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The values, shape (n,)."""
        return self.values.numbers


def read(column: pa.ChunkedArray, settings: Settings) -> Key:
    """Read the column ``settings.key``."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return _group(column, settings.seed) if settings.group else _order(column, settings)


def join(name: str, parts: Sequence[tuple[str, Key]]) -> tuple[Key, Problem | None]:
    """Put the values of several files one after the other; numbers beside dates are a problem.

    Args:
        name: of the column.
        parts: name of the file, and values.
    """
    whole, _ = values.join(name, [(file, key.values) for file, key in parts])
    return Key(parts[0][1].kind, whole), conflict(name, [(file, key.kind) for file, key in parts])


def conflict(name: str, kinds: Sequence[tuple[str, str]]) -> Problem | None:
    """Return a problem if a column holds numbers in one file and dates in another.

    Args:
        name: of the column.
        kinds: name of each file, and kind of its values.
    """
    found = {kind: file for file, kind in kinds}
    if len(found) <= 1:
        return None
    listed = " and ".join(f"{kind}s in {file}" for kind, file in found.items())
    return Problem(f"column {name!r} holds {listed}: they have no common order")


def _group(column: pa.ChunkedArray, seed: int) -> Key:
    if pa.types.is_nested(column.type):
        rows, reason = np.arange(len(column)), f"is of the type {column.type}"
        return Key("group", Values("number", np.full(len(column), np.nan), rejected=rows, reason=reason))
    text = trimmed(as_text(column)).combine_chunks().dictionary_encode()
    draws = np.array([*(group_draw(name, seed) for name in text.dictionary.to_pylist()), np.nan])
    places = text.indices.fill_null(len(text.dictionary)).to_numpy()
    return Key("group", Values("number", draws[places]))


def _order(column: pa.ChunkedArray, settings: Settings) -> Key:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        stamps = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        return Key("date", Values("number", stamps.to_numpy(zero_copy_only=False).astype(np.float64)))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        found = Values.of(settings.order, column, "number")
        return Key("number", replace(found, reason=found.reason and _REASON))
    text = trimmed(column)
    numbers = Values.of(settings.order, text, "number", settings.decimal)
    if not numbers.rejected.size:
        return Key("number", numbers)
    dates = _dates(text)
    if dates.rejected.size <= numbers.rejected.size:
        return Key("date", dates)
    return Key("number", replace(numbers, reason=_REASON, remedy=""))


def _dates(text: pa.ChunkedArray) -> Values:
    """Read ISO 8601; times without a zone are taken for UTC."""
    stamps = pd.to_datetime(text.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    numbers = np.where(stamps.isna(), np.nan, stamps.astype("int64") / 1000)
    rejected = np.flatnonzero(np.isnan(numbers) & pc.is_valid(text).to_numpy())
    samples = {row: repr(text[row].as_py()) for row in rejected[:ROWS_LISTED].tolist()}
    return Values("number", numbers, (), rejected, samples, _REASON)
