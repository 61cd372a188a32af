"""Checks columns, and returns all problems with the rows that have them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from components.data.limits import excluding, too_few, too_many_categories
from components.data.problems import ROWS_LISTED, Problem
from components.data.settings import Settings
from components.data.sources.source import Rows
from components.data.sources.values import Values
from components.data.split import Mask

# The squares of larger numbers overflow, and the loss is a sum of squares.
LARGEST = 1e150


def validate(
    rows: Rows, frame: pd.DataFrame, held_out: Mask, used: Mask, settings: Settings, *, whole: bool = True
) -> list[Problem]:
    """Find the problems of the values.

    Args:
        rows: the columns as they were read, for the examples.
        frame: their values as numbers; the index is the row of ``rows``.
        held_out: which rows of the frame are held out, shape (n,).
        used: which rows are not left out, shape (n,).
        settings: what is allowed.
        whole: whether these are all rows; in a shard there may be few, and a column may be constant.
    """
    learning, testing = used & ~held_out, used & held_out
    remedies: dict[str, str] = {}

    def checks(name: str) -> list[pa.Check]:
        role = "target" if name == settings.target else "feature"
        column = _Column(f"{role} {name!r}", name, rows.columns[name], settings, remedies)
        found = column.value_checks(frame, learning)
        return found + column.variation_checks(learning, testing) if whole else found

    schema = pa.DataFrameSchema(
        # Checks of our own distinguish missing values from text that is not a number.
        {name: pa.Column(float, checks(name), nullable=True) for name in rows.columns},
        checks=_frame_checks(learning, testing, rows, settings, remedies, whole=whole),
    )
    try:
        schema.validate(frame, lazy=True, inplace=True)
    except pa.errors.SchemaErrors as errors:
        return [_problem(error, rows, remedies) for error in errors.schema_errors]
    return []


def key_problems(rows: Rows, settings: Settings) -> list[Problem]:
    """Find rows without a usable value of ``order`` or ``group``, which decide what is held out."""
    if rows.key is None:
        return []
    values = rows.key.values
    missing = np.isnan(values.numbers)
    missing[values.rejected] = False
    called = f"{'order' if settings.order else 'group'} {settings.key!r}"
    found = [
        Problem(f"{called} {values.reason}", values.rejected.size, _examples(rows, values, values.rejected))
    ]
    if settings.missing != "drop":
        where = np.flatnonzero(missing)
        remedy = "add missing=drop to leave such rows out"
        found.append(Problem(f"{called} is missing", where.size, _examples(rows, values, where), remedy))
    return [problem for problem in found if problem.rows]


def _examples(rows: Rows, values: Values, where: NDArray[np.int64]) -> tuple[tuple[str, str], ...]:
    return tuple((rows.where(row), values.samples.get(row, "")) for row in where[:ROWS_LISTED].tolist())


@dataclass(frozen=True, slots=True)
class _Column:
    """Makes the checks of a column."""

    called: str
    name: str
    values: Values
    settings: Settings
    remedies: dict[str, str]

    def value_checks(self, frame: pd.DataFrame, learning: Mask) -> list[pa.Check]:
        there = pd.Series(~frame.index.isin(self.values.rejected), index=frame.index)
        checks = []
        if self.values.reason:
            checks.append(self._check(self.values.reason, lambda _: there, self._remedy()))
        if self.settings.missing == "fail":
            remedy = "add missing=mean to fill it in, or missing=drop to leave such rows out"
            if self.name == self.settings.target:
                remedy = "add missing=mean or missing=drop, which both leave such rows out"
            checks.append(self._check("is missing", lambda values: values.notna() | ~there, remedy))
        if self.values.type == "category":
            return [*checks, *self._category_checks(frame, learning)]
        checks.append(
            self._check(f"is infinite or beyond ±{LARGEST:g}", lambda values: ~(values.abs() > LARGEST))
        )
        if self.name in self.settings.ranges:
            low, high = self.settings.ranges[self.name]
            low, high = -math.inf if low is None else low, math.inf if high is None else high
            text = f"is outside the range {low:g} to {high:g}"
            checks.append(self._check(text, lambda values: ~((values < low) | (values > high))))
        return checks

    def _remedy(self) -> str:
        if not self.values.unusable:
            return self.values.remedy
        if self.name == self.settings.target:
            return "a target has to be a number"
        leave_out = excluding(self.name, self.settings.document())
        return f"{leave_out}, or {self.values.remedy}" if self.values.remedy else leave_out

    def variation_checks(self, learning: Mask, testing: Mask) -> list[pa.Check]:
        remedy = "" if self.name == self.settings.target else excluding(self.name, self.settings.document())
        if not self.values.rejected.size and np.isnan(self.values.numbers).all() and learning.size:
            return [self._check("has no value", lambda _: False, remedy)]
        checks = [
            self._check(
                "is constant over the training rows", lambda values: _varies(values[learning]), remedy
            )
        ]
        if self.name == self.settings.target:
            text = "is constant over the held-out rows, which cannot show how good a model is"
            checks.append(self._check(text, lambda values: _varies(values[testing])))
        return checks

    def _category_checks(self, frame: pd.DataFrame, learning: Mask) -> list[pa.Check]:
        there = frame[self.name][learning].dropna()
        found = []
        if self.name in self.settings.ranges:
            found.append(
                self._check("has a range, but holds text", lambda _: False, "leave it out of ranges")
            )
        problem = too_many_categories(
            self.name, there.nunique(), len(there), self.settings.document(), whole=False
        )
        if problem:
            self.remedies[problem.what] = problem.remedy
            found.append(_check(problem.what, lambda _: False))
        return found

    def _check(self, what: str, passes: Callable[[Any], Any], remedy: str = "") -> pa.Check:
        text = f"{self.called} {what}"
        self.remedies[text] = remedy
        return _check(text, passes)


def _frame_checks(
    learning: Mask,
    testing: Mask,
    rows: Rows,
    settings: Settings,
    remedies: dict[str, str],
    *,
    whole: bool,
) -> list[pa.Check]:
    few = too_few(int(learning.sum()), int(testing.sum()), len(rows.features), settings.document())
    checks = []
    if few and whole:
        remedies[few.what] = few.remedy
        checks.append(_check(few.what, lambda _: False))
    if settings.duplicates == "fail":
        text = "features and target repeat those of an earlier row"
        checks.append(_check(text, lambda frame: ~frame.duplicated()))
    return checks


def _varies(values: pd.Series) -> bool:
    """Return whether a column varies; True if it has too few finite values to tell."""
    finite = values[values.abs() <= LARGEST].to_numpy()
    return finite.size < 2 or bool(finite.min() < finite.max() and finite.std() > 0)


def _check(text: str, passes: Callable[[Any], Any]) -> pa.Check:
    return pa.Check(passes, error=text, ignore_na=False, n_failure_cases=ROWS_LISTED)


def _problem(error: pa.errors.SchemaError, rows: Rows, remedies: Mapping[str, str]) -> Problem:
    passed, remedy = error.check_output, remedies.get(error.check.error, "")
    if not isinstance(passed, pd.Series):
        return Problem(error.check.error, remedy=remedy)
    failed = passed.index[~passed]
    names = [error.schema.name] if error.schema.name in rows.columns else list(rows.columns)
    examples = tuple(
        (rows.where(row), ", ".join(rows.columns[name].show(row) for name in names))
        for row in failed[:ROWS_LISTED].tolist()
    )
    return Problem(error.check.error, rows=len(failed), examples=examples, remedy=remedy)
