"""One-hot columns: a number or a boolean has one column, a category has one for each of its categories.

A dataset and a model hold one number an input; what is linear in the columns expands them inside.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from predictor.model.inputs import Input

Floats = NDArray[np.float64]


class Expansion:
    """The one-hot columns of inputs.

    Attributes:
        width: the number of columns, q.
        columns: of each input, the slice of its columns.
        names: of each column, the name of its input, shape (q,).
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.inputs = tuple(inputs)
        sizes = [len(one.categories) if one.type == "category" else 1 for one in self.inputs]
        edges = [0, *accumulate(sizes)]
        self.width = edges[-1]
        self.columns = [slice(start, stop) for start, stop in pairwise(edges)]
        self.names = tuple(
            one.name for one, size in zip(self.inputs, sizes, strict=True) for _ in range(size)
        )
        self._plain = not any(one.type == "category" for one in self.inputs)

    def expand(self, X: Floats) -> Floats:
        """Return the columns, shape (n, q), of rows of shape (n, d); an unknown category has zeros."""
        if self._plain:
            return X
        expanded = np.zeros((X.shape[0], self.width))
        for position, (one, columns) in enumerate(zip(self.inputs, self.columns, strict=True)):
            if one.type != "category":
                expanded[:, columns.start] = X[:, position]
                continue
            known = np.flatnonzero(X[:, position] >= 0)
            expanded[known, columns.start + X[known, position].astype(np.intp)] = 1.0
        return expanded
