"""Columns of 0 and 1 in place of categories, for kinds of model that compute with numbers alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.model.inputs import Input


def widths(inputs: Sequence[Input]) -> list[int]:
    """Return the number of columns of each input: one for each category, else one."""
    return [len(one.categories) or 1 for one in inputs]


def expand(X: NDArray[np.float64], inputs: Sequence[Input]) -> NDArray[np.float64]:
    """Return rows of shape (n, d) as columns, in row-major order, shape (n, sum of the widths).

    A category that is not known is 0 in all columns of its input.
    """
    if not any(one.categories for one in inputs):
        return np.ascontiguousarray(X)
    columns = np.zeros((len(X), sum(widths(inputs))))
    start = 0
    for i, (one, width) in enumerate(zip(inputs, widths(inputs), strict=True)):
        values = X[:, i : i + 1]
        columns[:, start : start + width] = values == np.arange(width) if one.categories else values
        start += width
    return columns
