"""Turning columns as they come, numbers or text, into numbers, booleans and categories.

All become doubles: a number is itself, a boolean is 0 or 1, a category is its position among the categories
of the column, and a missing value is NaN.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.data.problems import ROWS_LISTED, Problem
from predictor.model.text import BOOLEANS

ColumnType = Literal["number", "boolean", "category", "empty"]
"""The type of a column; ``empty`` has no value at all, and goes with any other."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity|nan)$"
# What a person takes for a number, whether it can be read or not: 1,5 and 1 000 and € 5 and 7 %.
_LIKE_NUMBER = r"^[+-]?[$€£¥]?\s?[+-]?[\d.,'\s\x{a0}\x{202f}]*\d[\d.,]*([eE][+-]?\d+)?\s?[%$€£¥]?$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
# What people write for a missing value.
_MARKS = ("?", "-", "--", ".", "..", "none", "None", "NONE", "missing", "unknown", "n.a.", "NaT")
_DECIMAL_COMMA = r"^[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?$"
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s?([AaPp][Mm])?(Z|[+-]\d{2}:?\d{2})?"
_DAY = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|(19|20)\d\d-(0[1-9]|1[0-2])|"
    rf"\d{{1,2}}[-. ]*{_MONTH}[-. ]*\d{{2,4}}|{_MONTH}[- ]\d{{1,2}}(, ?| )\d{{2,4}}"
)
_DATE = rf"^(({_DAY})([T ]{_TIME})?|{_TIME})$"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Values:
    """A column of doubles.

    Attributes:
        type: what they stand for.
        numbers: shape (n,); NaN where a value is missing or is not of the type.
        categories: of a category, in the order of their numbers, which is alphabetical.
        rejected: the rows of values that are there but not of the type, increasing.
        samples: the first of these as they were read, by row.
        reason: why they are rejected, such as ``is not a number``.
        remedy: what can be done about them.
        unusable: whether no model can use such values.
    """

    type: ColumnType
    numbers: Floats
    categories: tuple[str, ...] = ()
    rejected: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    samples: Mapping[int, str] = field(default_factory=dict)
    reason: str = ""
    remedy: str = ""
    unusable: bool = False

    def show(self, row: int) -> str:
        """Write the value of a row as it was read; nothing where it is missing."""
        if row in self.samples:
            return self.samples[row]
        number = self.numbers[row]
        if np.isnan(number):
            return ""
        if self.type == "category":
            return repr(self.categories[int(number)])
        return str(bool(number)).lower() if self.type == "boolean" else f"{number:g}"

    @property
    def only_zero_and_one(self) -> bool:
        """Whether all numbers are 0 or 1, so that they can stand for false and true."""
        return bool(np.isin(self.numbers[~np.isnan(self.numbers)], (0.0, 1.0)).all())

    def as_type(self, type_: ColumnType, categories: Sequence[str] = ()) -> "Values":
        """Return the same values as another type; categories get their positions among those given."""
        if type_ == self.type == "category":
            places = {category: float(place) for place, category in enumerate(categories)}
            codes = np.array([*(places[category] for category in self.categories), np.nan])
            numbers = codes[np.nan_to_num(self.numbers, nan=len(self.categories)).astype(np.intp)]
            return replace(self, numbers=numbers, categories=tuple(categories))
        return replace(self, type=type_, categories=tuple(categories))

    @classmethod
    def of(cls, name: str, column: pa.ChunkedArray, type_: str | None = None, decimal: str = ".") -> "Values":
        """Convert a column of any type.

        Args:
            name: of the column, for remedies.
            column: as it was read.
            type_: number, boolean or category; found from the values if it is None.
            decimal: the decimal point of numbers in text, ``.`` or ``,``.
        """
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = kind.value_type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
            with suppress(pa.ArrowInvalid):  # some writers of Parquet do not mark text as such
                column = column.cast(pa.large_string())
                kind = column.type
        if pa.types.is_null(kind):
            return cls("empty", np.full(len(column), np.nan))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return _of_text(name, trimmed(column), type_, decimal)
        if type_ == "category":
            return _as_category(as_text(column))
        if pa.types.is_boolean(kind):
            return cls("number" if type_ == "number" else "boolean", _doubles(column.cast(pa.uint8())))
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            # Integers beyond 2**53 are rounded, as any arithmetic in doubles would.
            found = cls("number", _doubles(column.cast(pa.float64(), safe=False)))
            return _as_boolean(found, column) if type_ == "boolean" else found
        if pa.types.is_temporal(kind):
            return _dates(name, column)
        found = _reject(column, np.full(len(column), np.nan), "number", f"is of the type {kind}")
        return replace(found, unusable=True)


def common_type(
    name: str, types: Sequence[tuple[str, ColumnType, bool]]
) -> tuple[ColumnType, Problem | None]:
    """Find the type that a column has in all files, or say which files contradict each other.

    Args:
        name: of the column.
        types: for each file its name, the type of the column in it, and whether its numbers are all 0 or 1:
            these are booleans where another file has booleans.
    """
    found: dict[ColumnType, str] = {}
    for file, type_, _ in types:
        if type_ != "empty":
            found.setdefault(type_, file)
    if set(found) == {"number", "boolean"} and all(
        zero_one for _, type_, zero_one in types if type_ == "number"
    ):
        return "boolean", None
    if len(found) <= 1:
        return next(iter(found), "empty"), None
    listed = " and ".join(f"a {type_} in {file}" for type_, file in found.items())
    remedy = f'say what it is, such as types={{"{name}": "category"}}, or leave it out of the features'
    return next(iter(found)), Problem(f"column {name!r} is {listed}", remedy=remedy)


def join(name: str, parts: Sequence[tuple[str, Values]]) -> tuple[Values, Problem | None]:
    """Put the values of several files one after the other; a conflict of their types is a problem.

    Args:
        name: of the column.
        parts: name of the file, and values.
    """
    if len(parts) == 1:
        return parts[0][1], None
    types = [(file, values.type, values.only_zero_and_one) for file, values in parts]
    type_, problem = common_type(name, types)
    categories = sorted({category for _, values in parts for category in values.categories})
    if not problem:
        parts = [(file, values.as_type(type_, categories)) for file, values in parts]
    starts = np.cumsum([0, *(values.numbers.size for _, values in parts)]).tolist()
    placed = list(zip(starts, (values for _, values in parts), strict=False))
    rejecting = next((values for _, values in placed if values.rejected.size), parts[0][1])
    return Values(
        type_,
        np.concatenate([values.numbers for _, values in placed]),
        tuple(categories),
        np.concatenate([start + values.rejected for start, values in placed]),
        {start + row: sample for start, values in placed for row, sample in values.samples.items()},
        rejecting.reason,
        rejecting.remedy,
        rejecting.unusable,
    ), problem


def trimmed(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text without blanks around it; nothing but blanks is a missing value."""
    text = pc.utf8_trim_whitespace(text.cast(pa.large_string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write the values of a column as text, whole numbers without a decimal point."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        rounded = column.cast(pa.int64(), safe=False)
        if pc.all(pc.equal(rounded.cast(pa.float64()), column.cast(pa.float64()))).as_py():
            column = rounded
    return column.cast(pa.large_string())


def _of_text(name: str, text: pa.ChunkedArray, type_: str | None, decimal: str) -> Values:
    if type_ == "category":
        return _as_category(text)
    if type_ == "boolean":
        return _parse_booleans(text)
    if text.null_count == len(text):
        return Values("empty", np.full(len(text), np.nan))
    pointed = _pointed(text, decimal)
    try:
        return Values("number", _doubles(pointed.cast(pa.float64())))
    except pa.ArrowInvalid:  # it stops at the first value that is no number, and doesn't say where
        pass
    different = text.unique().drop_null()
    if len(different) <= len(BOOLEANS) and set(different.to_pylist()) <= set(BOOLEANS):
        found = _parse_booleans(text)
        return replace(found, type="number") if type_ == "number" else found
    if type_ == "number":
        return _parse_numbers(text, pointed, "")
    if 2 * _matches(text, _DATE) >= len(text) - text.null_count:
        return _dates(name, text)
    if 2 * _matches(text, _LIKE_NUMBER) >= len(text) - text.null_count:
        remedy = f'if its values are categories, add types={{"{name}": "category"}}'
        return _parse_numbers(text, pointed, remedy)
    return _as_category(text)


def _parse_numbers(text: pa.ChunkedArray, pointed: pa.ChunkedArray, remedy: str) -> Values:
    numbers = pc.if_else(pc.match_substring_regex(pointed, _NUMBER), pointed, pa.scalar(None, pointed.type))
    rejected = text.filter(pc.and_(pc.is_valid(text), pc.is_null(numbers)))
    if pc.all(pc.is_in(rejected, value_set=pa.array(_MARKS, rejected.type))).as_py():
        remedy = "if that stands for a missing value, leave the cell empty"
    elif _matches(rejected, _THOUSANDS) == len(rejected):
        remedy = "write numbers without thousands separators; for decimal commas add decimal=,"
    elif _matches(rejected, _DECIMAL_COMMA) and not _matches(text, r"\."):
        remedy = "if its numbers have decimal commas, add decimal=,"
    return _reject(text, _doubles(numbers.cast(pa.float64())), "number", "is not a number", remedy)


def _parse_booleans(text: pa.ChunkedArray) -> Values:
    words = pa.array(BOOLEANS)
    places = pc.index_in(text, value_set=words)
    values = pc.take(pa.array(BOOLEANS.values(), type=pa.float64()), places.combine_chunks())
    return _reject(text, _doubles(values), "boolean", "is neither true nor false")


def _as_boolean(found: Values, column: pa.ChunkedArray) -> Values:
    numbers = np.where(np.isin(found.numbers, (0.0, 1.0)), found.numbers, np.nan)
    return _reject(column, numbers, "boolean", "is neither true nor false, 1 nor 0")


def _as_category(text: pa.ChunkedArray) -> Values:
    encoded = text.combine_chunks().dictionary_encode()
    found = Values(
        "category",
        _doubles(encoded.indices.cast(pa.float64())),
        tuple(encoded.dictionary.to_pylist()),
    )
    return found.as_type("category", sorted(found.categories))


def _reject(
    column: pa.ChunkedArray, numbers: Floats, type_: ColumnType, reason: str, remedy: str = ""
) -> Values:
    """Reject what is there, but became NaN."""
    there = column.is_valid().to_numpy()
    rows = np.flatnonzero(there & np.isnan(numbers))
    if pa.types.is_floating(column.type):
        rows = rows[~np.isnan(column.take(rows).to_numpy())]
    elif type_ == "number" and pa.types.is_large_string(column.type):
        nan = pc.match_substring_regex(column, r"^[+-]?(?i:nan)$").to_numpy(zero_copy_only=False)
        rows = rows[nan[rows] != True]  # noqa: E712 - the array holds None as well
    shown = [column[int(row)].as_py() for row in rows[:ROWS_LISTED]]
    samples = {
        int(row): repr(value) if isinstance(value, str) else str(value)
        for row, value in zip(rows, shown, strict=False)
    }
    return Values(type_, numbers, (), rows, samples, reason, remedy)


def _dates(name: str, column: pa.ChunkedArray) -> Values:
    remedy = f'add types={{"{name}": "category"}} if there are only a few'
    found = _reject(column, np.full(len(column), np.nan), "number", "holds dates or times", remedy)
    return replace(found, unusable=True)


def _matches(text: pa.ChunkedArray, pattern: str) -> int:
    return pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0


def _pointed(text: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Write numbers with a decimal point; with decimal commas a point makes a text no number."""
    if decimal == ".":
        return text
    return pc.replace_substring(pc.replace_substring(text, ".", "?"), decimal, ".")


def _doubles(column: pa.ChunkedArray | pa.Array) -> Floats:
    return column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
