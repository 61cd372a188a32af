"""Moments of one-hot columns with missing values filled in.

What is filled in are the means and the most frequent categories of all rows, which a shard does not know. So
it fills in its own, and beside the columns it takes the moments of indicators, which are 1 where a value was
missing: another filling is a linear combination of both, and its moments follow exactly.

Their columns are the one-hot columns of the inputs, then the indicators, then the target.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.columns import Rows, Summary
from components.data.moments import Moments, merge
from predictor.model.one_hot import expand, widths

# Rows, and values of their columns, whose moments are taken at once.
BLOCK_ROWS, BLOCK_VALUES = 2**17, 2**24

Settings = Mapping[str, Any]


def moments(rows: Rows, columns: Sequence[Summary], settings: Settings) -> Moments | None:
    """Take the moments of rows, a few rows at a time, without a second copy of all.

    Args:
        rows: the features by name, and the target as the last.
        columns: what is known of the features.
        settings: of the dataset.

    Returns:
        None if there are no rows.
    """
    *_, target = rows.values()
    inputs = [column.input(settings) for column in columns]
    lacking = _lacking(columns, settings)
    block_rows = max(min(BLOCK_ROWS, BLOCK_VALUES // (sum(widths(inputs)) + len(lacking))), 1)
    blocks = [slice(start, start + block_rows) for start in range(0, target.size, block_rows)]
    if not blocks:
        return None

    def expanded(block: slice) -> NDArray[np.float64]:
        filled = [
            column.numbers(rows[column.name][block], one) for column, one in zip(columns, inputs, strict=True)
        ]
        missing = [np.isnan(rows[name][block]) for name in lacking]
        return np.column_stack([expand(np.column_stack(filled), inputs), *missing])

    return merge(Moments.of(expanded(block), target[block]) for block in blocks)


def as_part_of(
    whole: Sequence[Summary], own: Sequence[Summary], moments: Moments, settings: Settings
) -> Moments:
    """Return the moments of a shard with the columns, and the replacements of missing values, of all rows.

    Args:
        whole: what is known of the columns over all rows.
        own: what is known of them over the rows of the shard.
        moments: of the shard.
        settings: of both.
    """
    summaries = {column.name: column for column in own}
    starts = [0, *accumulate(widths([column.input(settings) for column in own]))]
    places = dict(zip(summaries, starts, strict=False))
    indicators = {name: starts[-1] + position for position, name in enumerate(_lacking(own, settings))}
    chosen: list[int | None] = []
    additions: list[tuple[int, int, float]] = []
    for column in whole:
        for place, more in _columns(summaries[column.name], column):
            if more and column.name in indicators:
                additions.append((len(chosen), indicators[column.name], more))
            chosen.append(None if place is None else places[column.name] + place)
    chosen += [indicators.get(name) for name in _lacking(whole, settings)]
    return moments.combined([*chosen, moments.features], additions)


def _columns(own: Summary, whole: Summary) -> Iterator[tuple[int | None, float]]:
    """Yield for each one-hot column its position in the shard, and what to add where a value is missing."""
    if whole.type != "category":
        yield 0, whole.fill - own.fill
        return
    places = {category: place for place, category in enumerate(own.known)}
    for number, category in enumerate(whole.known):
        place = places.get(category)
        yield place, float(number == whole.fill) - float(place == own.fill)


def _lacking(columns: Sequence[Summary], settings: Settings) -> list[str]:
    """Return the names of the columns whose missing values are filled in."""
    return [column.name for column in columns if column.missing and settings.get("missing") == "mean"]
