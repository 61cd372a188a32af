"""Checking columns of numbers: all problems at once, with the rows that have them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from components.data.problems import ROWS_LISTED, Problem
from components.data.settings import Settings, too_few
from components.data.sources.source import Rows

# The squares of larger numbers overflow, and the loss is a sum of squares.
LARGEST = 1e150


def validate(
    rows: Rows, frame: pd.DataFrame, held_out: NDArray[np.bool_], settings: Settings, *, whole: bool = True
) -> list[Problem]:
    """Find what is wrong with the numbers.

    Args:
        rows: the columns as they were read, to tell what stands where.
        frame: their numbers; the index is the row of ``rows``.
        held_out: which rows of the frame are held out, shape (n,).
        settings: what is allowed.
        whole: whether these are all rows; in a shard there may be few, and a column may be constant.
    """

    def checks(name: str) -> list[pa.Check]:
        called = f"{'target' if name == settings.target else 'feature'} {name!r}"
        found = _value_checks(called, name, rows, frame, settings)
        return found + _variation_checks(called, name, held_out, settings) if whole else found

    schema = pa.DataFrameSchema(
        # What is missing is told from what is no number by a check of ours.
        {name: pa.Column(float, checks(name), nullable=True) for name in rows.columns},
        checks=_frame_checks(held_out, settings, whole=whole),
    )
    try:
        schema.validate(frame, lazy=True, inplace=True)
    except pa.errors.SchemaErrors as errors:
        return [_problem(error, rows) for error in errors.schema_errors]
    return []


def _value_checks(
    called: str, name: str, rows: Rows, frame: pd.DataFrame, settings: Settings
) -> list[pa.Check]:
    number = pd.Series(~frame.index.isin(rows.columns[name].not_numbers), index=frame.index)
    checks = [
        _check(f"{called} is not a number", lambda _: number),
        _check(f"{called} is missing", lambda values: values.notna() | ~number),
        _check(f"{called} is infinite or beyond ±{LARGEST:g}", lambda values: ~(values.abs() > LARGEST)),
    ]
    if name in settings.ranges:
        low, high = settings.ranges[name]
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        text = f"{called} is outside the range {low:g} to {high:g}"
        checks.append(_check(text, lambda values: ~((values < low) | (values > high))))
    return checks


def _variation_checks(
    called: str, name: str, held_out: NDArray[np.bool_], settings: Settings
) -> list[pa.Check]:
    checks = [
        _check(f"{called} is constant over the training rows", lambda values: _varies(values[~held_out]))
    ]
    if name == settings.target:
        text = f"{called} is constant over the held-out rows: no score can be told from another"
        checks.append(_check(text, lambda values: _varies(values[held_out])))
    return checks


def _frame_checks(held_out: NDArray[np.bool_], settings: Settings, *, whole: bool) -> list[pa.Check]:
    few = too_few(int((~held_out).sum()), int(held_out.sum()), len(settings.features))
    checks = [_check(few, lambda _: False)] if few and whole else []
    if settings.duplicates == "fail":
        text = "features and target repeat those of an earlier row"
        checks.append(_check(text, lambda frame: ~frame.duplicated()))
    return checks


def _varies(values: pd.Series) -> bool:
    """Tell whether there is a deviation to divide by; where numbers are lacking that is another problem."""
    finite = values[values.abs() <= LARGEST].to_numpy()
    return finite.size < 2 or bool(finite.min() < finite.max() and finite.std() > 0)


def _check(text: str, passes: Callable[[Any], Any]) -> pa.Check:
    return pa.Check(passes, error=text, ignore_na=False, n_failure_cases=ROWS_LISTED)


def _problem(error: pa.errors.SchemaError, rows: Rows) -> Problem:
    passed = error.check_output
    if not isinstance(passed, pd.Series):
        return Problem(error.check.error)
    failed = passed.index[~passed]
    names = [error.schema.name] if error.schema.name in rows.columns else list(rows.columns)
    examples = tuple(
        (rows.where(row), ", ".join(rows.columns[name].show(row) for name in names))
        for row in failed[:ROWS_LISTED].tolist()
    )
    return Problem(error.check.error, rows=len(failed), examples=examples)
