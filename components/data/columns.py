"""Summaries of the columns of a dataset: their types, categories and missing values.

A shard knows its own rows only. The summaries of shards merge into that of all rows, whose means and
categories become part of the model.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.problems import Problem
from components.data.sources.values import ColumnType, common_type
from predictor.model.base import Distribution
from predictor.model.inputs import UNKNOWN, Input

Floats = NDArray[np.float64]
Rows = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of a column over the training rows.

    Attributes:
        name: of the column.
        type: of its values.
        present: in how many training rows there is a value.
        missing: in how many there is none.
        mean: of the values of a number or a boolean; 0 where there are none.
        minimum: of these; infinity where there are none.
        maximum: of these; minus infinity where there are none.
        zero_one: whether all its numbers are 0 or 1, in the held-out rows too.
        categories: in the order of their numbers: alphabetically, those of training rows first, and then
            those that only held-out rows have.
        counts: in how many training rows each category is.
        unit: of a number, if it has one.
    """

    name: str
    type: ColumnType
    present: int
    missing: int
    mean: float
    minimum: float
    maximum: float
    zero_one: bool = False
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    unit: str | None = None

    @classmethod
    def of(
        cls,
        name: str,
        type_: ColumnType,
        train: Floats,
        test: Floats,
        categories: Sequence[str] = (),
        unit: str | None = None,
    ) -> "Summary":
        """Summarise the values of the training and the held-out rows, shapes (n,) and (m,).

        Args:
            name: of the column.
            type_: of the values.
            train: of the training rows, as numbers; NaN for a missing value.
            test: of the held-out rows.
            categories: in the order of their numbers here, which need not be that of the summary.
            unit: of the column.
        """
        there = train[~np.isnan(train)]
        present, missing = int(there.size), int(train.size - there.size)
        if type_ == "category":
            counts = dict(zip(categories, _counts(there, len(categories)), strict=True))
            held_out = dict(zip(categories, _counts(test[~np.isnan(test)], len(categories)), strict=True))
            return _with_counts(
                cls(name, type_, present, missing, 0.0, math.inf, -math.inf, unit=unit),
                {category: n for category, n in counts.items() if n or held_out[category]},
            )
        return cls(
            name,
            type_,
            present,
            missing,
            float(there.mean()) if present else 0.0,
            float(there.min(initial=math.inf)),
            float(there.max(initial=-math.inf)),
            bool(np.isin(there, (0.0, 1.0)).all() and np.isin(test[~np.isnan(test)], (0.0, 1.0)).all()),
            unit=unit,
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Summary":
        """Read what ``document`` returned."""
        lists = {name: tuple(document[name]) for name in ("categories", "counts")}
        minimum, maximum = document["minimum"], document["maximum"]
        bounds = {"minimum": math.inf, "maximum": -math.inf} if minimum is None or maximum is None else {}
        return cls(**{**document, **lists, **bounds})

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        document = {**asdict(self), "categories": list(self.categories), "counts": list(self.counts)}
        return document | ({"minimum": None, "maximum": None} if self.minimum > self.maximum else {})

    @property
    def known(self) -> tuple[str, ...]:
        """The categories of training rows, which a model knows."""
        return tuple(c for c, count in zip(self.categories, self.counts, strict=True) if count)

    @property
    def fill(self) -> float:
        """The number that replaces a missing value: the mean of a number, else the most frequent value.

        Of equally frequent ones it is the first: false, or the first in the alphabet.
        """
        if self.type == "category":
            return float(np.argmax(self.counts)) if self.known else UNKNOWN
        return float(self.mean > 1 / 2) if self.type == "boolean" else self.mean

    def input(self, settings: Mapping[str, Any]) -> Input:
        """Return the input of a model that is trained on these rows.

        Args:
            settings: of the dataset; ``missing`` and ``unknown_categories`` matter.
        """
        category = self.type == "category"
        return Input(
            name=self.name,
            minimum=0.0 if category else self.minimum,
            maximum=len(self.known) - 1.0 if category else self.maximum,
            unit=self.unit,
            type="number" if self.type == "empty" else self.type,
            categories=self.known,
            missing=self.fill if settings.get("missing") == "mean" else None,
            accepts_unknown=category and settings.get("unknown_categories") == "ignore",
        )

    def numbers(self, values: Floats, for_input: Input) -> Floats:
        """Return values of this column as numbers of a model's input.

        Args:
            values: as the dataset holds them, shape (n,); NaN where there is none.
            for_input: its categories may be others, or in another order.
        """
        if self.type == "category":
            values = self._recoded(values, for_input.categories, UNKNOWN)
        return for_input.filled(values)

    def hashed(self, values: Floats) -> Floats:
        """Return values with a hash of its text for each category, which no other row changes."""
        if self.type != "category":
            return values
        return hash_categories(values, self.categories)

    def recode(self, values: Floats, other: "Summary") -> Floats:
        """Return values of this column with the category numbers of another summary."""
        if self.categories == other.categories:
            return values
        return self._recoded(values, other.categories, math.nan)

    def _recoded(self, values: Floats, categories: Sequence[str], unknown: float) -> Floats:
        """Return the positions of the values of this column among other categories."""
        places = {category: float(place) for place, category in enumerate(categories)}
        return looked_up(values, [places.get(category, unknown) for category in self.categories])


@dataclass(frozen=True, slots=True)
class Gaps:
    """The missing values of a source.

    Attributes:
        values: how many, by column; only the columns that lack any.
        rows: how many rows lack any.
        left_out: how many of these rows are not in the dataset.
    """

    values: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    left_out: int = 0

    def __add__(self, other: "Gaps") -> "Gaps":
        names = dict.fromkeys([*self.values, *other.values])
        values = {name: self.values.get(name, 0) + other.values.get(name, 0) for name in names}
        return Gaps(values, self.rows + other.rows, self.left_out + other.left_out)

    def __str__(self) -> str:
        """Describe the missing values in a sentence."""
        if not self.rows:
            return "No value is missing."
        listed = ", ".join(f"{count} of {name}" for name, count in self.values.items())
        done = f"{self.left_out} of them were left out" if self.left_out else ""
        filled = f"{self.rows - self.left_out} were filled in" if self.rows > self.left_out else ""
        what = " and ".join(filter(None, [done, filled]))
        return f"{self.rows} rows lack values ({listed}); {what}."


def summarised(
    train: Rows,
    test: Rows,
    types: Mapping[str, ColumnType],
    categories: Mapping[str, Sequence[str]],
    units: Mapping[str, str],
) -> tuple[list[Summary], Rows, Rows]:
    """Summarise the features, which are all columns but the last, and encode the rows for the dataset.

    Args:
        train: columns of training rows by name.
        test: of held-out rows.
        types: of the features that are not numbers.
        categories: of those that are categories, in the order of their numbers in the rows.
        units: of those that have one.
    """
    summaries = []
    for name in [*train][:-1]:
        given = tuple(categories.get(name, ()))
        type_ = types.get(name, "number")
        summary = Summary.of(name, type_, train[name], test[name], given, units.get(name))
        summaries.append(summary)
        if given != summary.categories:
            before = replace(summary, categories=given)
            train, test = ({**rows, name: before.recode(rows[name], summary)} for rows in (train, test))
    return summaries, train, test


def distributions(
    rows: Rows, columns: Sequence[Summary], settings: Mapping[str, Any]
) -> dict[str, Distribution]:
    """Return the distribution of each input over rows of a dataset; empty if there are no rows."""
    if not next(iter(rows.values())).size:
        return {}
    inputs = [(column, column.input(settings)) for column in columns]
    return {
        one.name: Distribution.of_input(one, column.numbers(rows[one.name], one)) for column, one in inputs
    }


def mismatch(columns: Sequence[Summary], inputs: Sequence[Input], others: Sequence[str] = ()) -> str | None:
    """Return why columns can't be read as numbers of the inputs of a model, if they can't.

    Args:
        columns: of the dataset.
        inputs: of the model.
        others: further columns of the held-out rows, for the message.
    """
    known = {column.name: column for column in columns}
    if missing := [one.name for one in inputs if one.name not in known]:
        return f"it needs {', '.join(missing)}; the dataset has {', '.join([*known, *others])}"
    for one in inputs:
        type_ = known[one.name].type
        if (type_ == "category") != (one.type == "category") and type_ != "empty":
            return f"its input {one.name!r} is a {one.type}, in the dataset it is a {type_}"
    return None


def hash_categories(values: Floats, categories: Sequence[str]) -> Floats:
    """Return a hash of its text for each position of a category."""
    digests = [hashlib.sha256(category.encode()).digest() for category in categories]
    return looked_up(values, [float(int.from_bytes(digest[:6])) for digest in digests])


def looked_up(codes: Floats, numbers: Sequence[float]) -> Floats:
    """Return the number at each code, shape (n,); a NaN, which is a missing value, stays one."""
    return np.array([*numbers, math.nan])[np.nan_to_num(codes, nan=len(numbers)).astype(np.intp)]


def merge(parts: Sequence[tuple[str, Summary]]) -> tuple[Summary, Problem | None]:
    """Merge the summaries that shards have of a column; a conflict of their types is a problem.

    Args:
        parts: the source of each shard, and its summary.
    """
    summaries = [summary for _, summary in parts]
    name = summaries[0].name
    type_, problem = common_type(name, [(source, one.type, one.zero_one) for source, one in parts])
    present = sum(one.present for one in summaries)
    merged = Summary(
        name,
        type_,
        present,
        sum(one.missing for one in summaries),
        math.fsum(one.mean * (one.present / max(present, 1)) for one in summaries),
        min(one.minimum for one in summaries),
        max(one.maximum for one in summaries),
        all(one.zero_one for one in summaries),
        unit=summaries[0].unit,
    )
    if type_ != "category":
        return merged, problem
    counts: dict[str, int] = {}
    for one in summaries:
        for category, count in zip(one.categories, one.counts, strict=True):
            counts[category] = counts.get(category, 0) + count
    return _with_counts(merged, counts), problem


def _with_counts(summary: Summary, counts: Mapping[str, int]) -> Summary:
    order = sorted(counts, key=lambda category: (not counts[category], category))
    return replace(summary, categories=tuple(order), counts=tuple(counts[category] for category in order))


def _counts(codes: Floats, categories: int) -> list[int]:
    return np.bincount(codes.astype(np.intp), minlength=categories).tolist()
