"""An ensemble of regression trees: a baseline, plus what each tree adds for the leaf that a row reaches.

The trees split on columns. A number or a boolean is one column; a category is one column of 0 and 1 for each
category that the model knows, so a category that it does not know is 0 in all of them.

All trees stand one after the other in three arrays with an entry for each node. A split has the column that
it compares, its threshold, and the position of its left child in its tree; the right child is the next node.
A row goes left where its column is at most the threshold, compared as doubles, as scikit-learn's
HistGradientBoostingRegressor does. A leaf has the column -1, and in place of a threshold what it adds.
"""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from predictor.model.base import Model, Reference, Table
from predictor.model.inputs import Column, Input, finite
from predictor.model.one_hot import expand, widths
from predictor.wording import plural

MAX_TREES = 10_000
MAX_DEPTH = 32
"""Together these bound how long one prediction takes, whatever a model folder holds."""

LEAF = -1
_AT_ONCE = 8192
"""Paths of a row through a tree that are followed together: more no longer fit into the processor's cache."""
_PATH_COST = 1 / 35
"""Bytes that could be read carefully in the time of one step of a path; see ``Model.cost``."""

Integers = NDArray[np.intp]
Floats = NDArray[np.float64]


class TreeModel(Model):
    """An ensemble of regression trees.

    Args:
        baseline: what is predicted before the first tree.
        sizes: the number of nodes of each tree, shape (t,).
        columns: of all nodes of all trees: the column that is compared, or -1 of a leaf; shape (m,).
        left: the positions of the left children in their trees, 0 of a leaf; shape (m,).
        values: thresholds of splits, and what leaves add, in units of the target; shape (m,).
        inputs: what a row consists of.
        target: the predicted column.
        reference: the distributions of the training data.

    Raises:
        ValueError: the nodes are no trees, or there are too many, or they are too deep.
    """

    def __init__(
        self,
        baseline: float,
        sizes: Integers,
        columns: Integers,
        left: Integers,
        values: Floats,
        inputs: Sequence[Input],
        target: Column,
        reference: Reference,
    ) -> None:
        super().__init__(inputs, target, reference)
        if not 1 <= len(sizes) <= MAX_TREES:
            raise ValueError(f"{len(sizes)} trees; a model has from 1 to {MAX_TREES}")
        if sizes.min() < 1 or any(len(array) != sizes.sum() for array in (columns, left, values)):
            raise ValueError("the sizes of the trees do not add up to the number of nodes")
        self.baseline, self.sizes = baseline, sizes
        self.columns, self.left, self.values = columns, left, values
        self._widths = widths(self.inputs)
        if columns.min() < LEAF or columns.max() >= sum(self._widths):
            raise ValueError(f"a split is on a column beyond the {sum(self._widths)} of the inputs")
        self._roots = np.cumsum(sizes) - sizes
        first = np.repeat(self._roots, sizes)
        _check_children(left, np.arange(len(left)) - first, np.repeat(sizes, sizes), columns == LEAF)
        self._depths = _depths(self._roots, left + first, columns == LEAF)
        self._depth = int(self._depths.max())
        self.cost = float(_PATH_COST * self._depths.sum())
        # A leaf leads to itself: no value is above an infinite threshold.
        leaf = columns == LEAF
        self._next = np.where(leaf, np.arange(len(left)), left + first)
        self._compared = np.where(leaf, 0, columns)
        self._thresholds = np.where(leaf, np.inf, values)

    def row(self, values: Sequence[float]) -> float:
        """Predict one row as ``predict`` does, in half the time; returns NaN if a value is not finite."""
        if not all(map(math.isfinite, values)):
            return math.nan
        row = expand(np.array([values], dtype=np.float64), self.inputs)[0]
        nodes = self._roots
        for _ in range(self._depth):
            right = row.take(self._compared.take(nodes)) > self._thresholds.take(nodes)
            nodes = self._next.take(nodes)
            nodes += right
        total = self.baseline
        for added in self.values.take(nodes).tolist():
            total += added
        return total

    def predict(self, X: Floats) -> Floats:
        """Predict rows of shape (n, d); returns shape (n,)."""
        total = np.full(len(X), self.baseline)
        for start in range(0, len(X), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            block = expand(X[rows], self.inputs)
            trees = max(1, _AT_ONCE // len(block))
            for tree in range(0, len(self._roots), trees):
                total[rows] = self._add(block, slice(tree, tree + trees), total[rows])
        return total

    def summary(self) -> str:
        """Describe the model in one sentence."""
        trees = plural(len(self.sizes), "regression tree")
        return f"{trees} of depth {self._depth} at most, for {self.target.name}."

    def details(self) -> tuple[Table, ...]:
        """Return how many splits there are on each input."""
        splits = np.bincount(self.columns[self.columns != LEAF], minlength=sum(self._widths))
        ends = np.cumsum(self._widths)
        rows = tuple(
            (one.name, int(splits[end - width : end].sum()), *one.about)
            for one, width, end in zip(self.inputs, self._widths, ends, strict=True)
        )
        return (Table("Splits and training ranges", ("Input", "Splits", "Unit", "Minimum", "Maximum"), rows),)

    def parameters(self) -> dict[str, Any]:
        """Return the nodes of all trees."""
        return {
            "baseline": self.baseline,
            "sizes": self.sizes.tolist(),
            "columns": self.columns.tolist(),
            "left": self.left.tolist(),
            "values": self.values.tolist(),
        }

    @classmethod
    def of(
        cls, parameters: dict[str, Any], inputs: Sequence[Input], target: Column, reference: Reference
    ) -> Self:
        """Read and check the nodes of all trees."""
        sizes, columns, left = (_integers(parameters[name], name) for name in ("sizes", "columns", "left"))
        values = np.array([finite(value) for value in parameters["values"]], dtype=np.float64)
        baseline = finite(parameters["baseline"])
        return cls(baseline, sizes, columns, left, values, inputs, target, reference)

    def _add(self, block: Floats, trees: slice, total: Floats) -> Floats:
        """Add what some trees say of a few rows to their totals, in the order of the trees; shape (n,)."""
        flat, starts = block.ravel(), np.arange(0, block.size, block.shape[1])
        nodes = np.repeat(self._roots[trees, np.newaxis], len(block), axis=1)
        for _ in range(self._depths[trees].max()):
            places = self._compared.take(nodes)
            places += starts
            right = flat.take(places) > self._thresholds.take(nodes)
            nodes = self._next.take(nodes)
            nodes += right
        added = self.values.take(nodes)
        added[0] += total
        # Unlike a sum, this adds one after the other, so that a row's last digits do not depend on others.
        return np.add.accumulate(added, axis=0)[-1]


def _check_children(left: Integers, position: Integers, size: Integers, leaf: NDArray[np.bool_]) -> None:
    """Check that every node is the child of one node before it, so that the nodes are trees.

    Args:
        left: positions of left children in their trees, 0 of leaves; shape (m,).
        position: of each node in its tree, shape (m,).
        size: of each node's tree, shape (m,).
        leaf: which nodes are leaves, shape (m,).

    Raises:
        ValueError: they are not.
    """
    if left[leaf].any():
        raise ValueError("a leaf has children")
    if (~leaf & ((left <= position) | (left >= size - 1))).any():
        raise ValueError("the children of a split must be later nodes of its tree")
    children = (np.arange(len(leaf)) - position + left)[~leaf]
    parents = np.bincount(np.concatenate([children, children + 1]), minlength=len(leaf))
    if not np.array_equal(parents, position > 0):
        raise ValueError("a node must be the child of exactly one split, unless it is the root")


def _depths(roots: Integers, left: Integers, leaf: NDArray[np.bool_]) -> Integers:
    """Return the depth of each tree, shape (t,); ``left`` are positions among all nodes.

    Raises:
        ValueError: a tree is too deep.
    """
    depths = np.zeros(len(roots), dtype=np.intp)
    trees, nodes = np.arange(len(roots)), roots
    for depth in range(MAX_DEPTH + 1):
        depths[trees] = depth
        inner = ~leaf[nodes]
        trees, nodes = trees[inner], left[nodes[inner]]
        if not nodes.size:
            return depths
        trees, nodes = np.concatenate([trees, trees]), np.concatenate([nodes, nodes + 1])
    raise ValueError(f"a tree is deeper than {MAX_DEPTH}")


def _integers(values: object, name: str) -> Integers:
    """Return a list of JSON numbers as integers.

    Raises:
        ValueError: they are no list, or a number is not whole or far too large.
    """
    if not isinstance(values, list) or any(type(value) is not int or abs(value) >= 2**31 for value in values):
        raise ValueError(f"{name} must be whole numbers")
    return np.array(values, dtype=np.intp)
