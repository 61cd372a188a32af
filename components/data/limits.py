"""Checks the numbers of rows, columns and categories of a dataset."""

from collections.abc import Mapping
from typing import Any

from components.data.problems import Problem
from components.data.settings import (
    ALL_COLUMNS,
    MAX_CATEGORIES,
    MAX_COLUMNS,
    MIN_TEST_ROWS,
    MIN_TRAIN_ROWS,
)


def too_few(train: int, test: int, features: int, settings: Mapping[str, Any]) -> Problem | None:
    """Return a problem if there are too few rows, or far from as many are held out as was asked for.

    A line through d + 1 rows says nothing, it passes through all of them.

    Args:
        train: how many rows to learn from.
        test: how many rows are held out.
        features: how many columns a model has.
        settings: of the dataset.
    """
    least = max(MIN_TRAIN_ROWS, features + 2)
    order, group, share = (settings.get(name) for name in ("order", "group", "test_share"))
    if train < least or test < MIN_TEST_ROWS:
        what = f"too few rows: {train} to learn from, {test} held out; needed are {least} and {MIN_TEST_ROWS}"
        remedy = f"rows with the same {order!r} are on the same side; use a finer order" if order else ""
        return Problem(what, remedy=_about_groups(group) if group else remedy)
    if group and share and not share / 2 <= test / (train + test) <= 2 * share:
        what = (
            f"{test} of {train + test} rows would be held out, which is far from test_share={share:g}: the "
            f"groups of {group!r} are too few or too large"
        )
        return Problem(what, remedy=_about_groups(group))
    return None


def too_many_categories(
    name: str, categories: int, rows: int, settings: Mapping[str, Any], *, whole: bool
) -> Problem | None:
    """Return a problem if a feature seems to be an identifier or free text.

    Args:
        name: of the feature.
        categories: how many it has in training rows.
        rows: how many training rows have one.
        settings: of the dataset.
        whole: whether these are all training rows; most categories of a shard may be in one row of it.
    """
    most = settings.get("max_categories", MAX_CATEGORIES)
    if categories <= most and not (whole and 2 * categories > rows):
        return None
    remedy = excluding(name, settings)
    if categories > most:
        remedy += f", or add max_categories={categories}"
    what = f"feature {name!r} has {categories} different texts in {rows} training rows"
    return Problem(f"{what}: it looks like an identifier or free text", remedy=remedy)


def too_many_columns(columns: int, features: int, settings: Mapping[str, Any]) -> Problem | None:
    """Return a problem if a model would have too many columns, for which time and memory grow as the square.

    Args:
        columns: of a model, each category being one.
        features: how many they come from.
        settings: of the dataset.
    """
    most = settings.get("max_columns", MAX_COLUMNS)
    if columns <= most:
        return None
    what = f"a model of {features:,} features would have {columns:,} columns"
    if columns > features:
        what += ", each category being one"
    fewer = "leave some out with exclude" if _all_columns(settings) else "name fewer features"
    return Problem(f"{what}; at most {most:,} are allowed", remedy=f"{fewer}, or add max_columns={columns}")


def excluding(name: str, settings: Mapping[str, Any]) -> str:
    """Return how a feature is left out."""
    if _all_columns(settings):
        return f'leave it out with exclude=["{name}"]'
    return f"leave {name!r} out of the features"


def _all_columns(settings: Mapping[str, Any]) -> bool:
    return list(settings.get("features", ())) == [ALL_COLUMNS]


def _about_groups(group: str) -> str:
    return f"try another seed or test_share, or leave group={group} out"
