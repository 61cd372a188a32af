"""Drift of a column: how far a sample has moved from the training data, and whether chance explains it.

Both sides use these functions: training describes its columns, the predictor judges a sample of what it is
asked, and monitoring what the predictor recorded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.model.inputs import Input, finite

BINS = 10
_EMPTY = 1e-4

THRESHOLD = 0.05
"""A population stability index above this is large."""
FEWEST_ROWS = 200
"""Drift is judged from so many rows on, as their effective number."""
LEVEL = 0.0005
"""While nothing moves, drift is found in any of the columns that are looked at at most this often."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A column's distribution, as a histogram.

    ``edges`` are the k - 1 inner bin edges, strictly increasing; a value v falls into bin
    ``searchsorted(edges, v, side="right")``. ``proportions`` are the k shares of the rows.
    """

    mean: float
    deviation: float
    edges: tuple[float, ...]
    proportions: tuple[float, ...]

    @classmethod
    def of(cls, values: NDArray[np.float64], bins: int = BINS) -> "Distribution":
        """Describe finite values of shape (n,).

        Up to ``bins`` different values have a bin each. Of more, a value that is a share of at least 1 /
        ``bins`` of the rows has a bin to itself, and the others share bins of about that share: a column that
        is zero in most rows is not one single bin.
        """
        return cls.over(_edges(values, bins), values)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Distribution":
        """Read what ``dataclasses.asdict`` made of a distribution, from JSON.

        Raises:
            KeyError: a member is missing.
            TypeError: a member is of another type.
            ValueError: a number is not finite, or the members contradict each other.
        """
        distribution = cls(
            mean=finite(document["mean"]),
            deviation=finite(document["deviation"]),
            edges=tuple(finite(edge) for edge in document["edges"]),
            proportions=tuple(finite(share) for share in document["proportions"]),
        )
        if len(distribution.proportions) != len(distribution.edges) + 1:
            raise ValueError("a histogram needs one more proportion than edges")
        if any(low >= high for low, high in pairwise(distribution.edges)):
            raise ValueError("the edges of a histogram must increase")
        return distribution

    @classmethod
    def of_input(cls, model_input: Input, values: NDArray[np.float64]) -> "Distribution":
        """Describe the numbers of an input, shape (n,); booleans and categories have a bin for each value."""
        edges = fixed_edges(model_input)
        return cls.of(values) if edges is None else cls.over(np.asarray(edges), values)

    @classmethod
    def over(cls, edges: NDArray[np.float64], values: NDArray[np.float64]) -> "Distribution":
        """Describe finite values of shape (n,) by the bins between ``edges``."""
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)
        return cls(
            mean=float(values.mean()),
            deviation=float(values.std()),
            edges=tuple(edges.tolist()),
            proportions=tuple((counts / values.size).tolist()),
        )


def fixed_edges(model_input: Input) -> tuple[float, ...] | None:
    """Return the edges of the bins of a boolean or a category; None for a number.

    The first bin of a category holds the rows whose category the model does not know.
    """
    if model_input.type == "number":
        return None
    if model_input.type == "boolean":
        return (0.5,)
    return tuple(position - 0.5 for position in range(len(model_input.categories)))


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a sample of a column has moved from a reference.

    Attributes:
        index: the population stability index, the sum over the bins of (p - q) ln(p / q), p the shares of the
            sample and q those of the reference; NaN of no rows.
        chi_square: the likelihood ratio statistic of homogeneity (Wilks, 1938), chi-square distributed with
            ``degrees`` degrees of freedom while nothing moves. Pearson's has too heavy a tail in bins of few
            rows.
        degrees: occupied bins less one.
        rows: the sample's effective size. Rows of one request that resemble each other count less.
    """

    index: float
    chi_square: float
    degrees: int
    rows: float

    def beyond_chance(self, level: float) -> bool:
        """Whether a column that has not moved gives such a sample with a probability below ``level``."""
        return self.degrees > 0 and self.chi_square > chi_square_quantile(self.degrees, level)

    def moved(self, columns: int, threshold: float = THRESHOLD) -> bool:
        """Decide whether the column has moved: by more than the threshold, and beyond chance.

        Args:
            columns: how many columns are looked at together.
            threshold: an index above this is large.
        """
        return self.index > threshold and self.beyond_chance(LEVEL / max(columns, 1))


@dataclass(frozen=True, slots=True)
class Counts:
    """A sample of a column, counted in the bins of a reference.

    All members are sums over the requests, so the counts of several samples add up to those of all.

    Attributes:
        bins: rows in each bin, of shape (k,).
        squares: sums of the squares of each request's rows in a bin, of shape (k,).
        products: sums of the products of these with all rows of the request, of shape (k,).
        requests: how many requests.
        square: sum of the squares of each request's rows.
    """

    bins: NDArray[np.float64]
    squares: NDArray[np.float64]
    products: NDArray[np.float64]
    requests: int
    square: float

    @classmethod
    def of(
        cls,
        reference: Distribution,
        values: NDArray[np.float64],
        requests: NDArray[np.intp] | None = None,
    ) -> "Counts":
        """Count finite values of shape (n,), by request where they are not independent of each other."""
        count = len(reference.proportions)
        bins = np.searchsorted(reference.edges, values, side="right")
        groups = bins.size if requests is None or not bins.size else int(requests.max()) + 1
        if requests is None or groups == bins.size:
            rows = np.bincount(bins, minlength=count).astype(np.float64)
            return cls(rows, rows, rows, groups, float(groups))
        table = np.bincount(requests * count + bins, minlength=groups * count).reshape(groups, count)
        sizes = table.sum(axis=1)
        return cls(
            bins=table.sum(axis=0).astype(np.float64),
            squares=np.square(table).sum(axis=0).astype(np.float64),
            products=(sizes @ table).astype(np.float64),
            requests=groups,
            square=float(sizes @ sizes),
        )

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of two samples together."""
        return Counts(
            self.bins + other.bins,
            self.squares + other.squares,
            self.products + other.products,
            self.requests + other.requests,
            self.square + other.square,
        )

    @property
    def rows(self) -> float:
        """How many rows were counted."""
        return float(self.bins.sum())

    @property
    def effective_rows(self) -> float:
        """How many independent rows tell as much about the bins' shares as these do.

        Rows of one request may resemble each other. Their number is divided by the mean design effect of the
        shares, requests being the clusters, if it is above 1 (Rao and Scott, Categorical data from complex
        samples, 1981). Rows of a single request count as one.
        """
        rows, groups = self.rows, self.requests
        if groups == rows or groups <= 1:
            return float(groups)
        occupied = self.bins > 0
        shares = self.bins[occupied] / rows
        degrees = shares.size - 1
        if not degrees:
            return float(groups)
        # The sum over requests of (rows in the bin - share of the request's rows) squared.
        excess = (
            self.squares[occupied] - 2 * shares * self.products[occupied] + np.square(shares) * self.square
        )
        variances = groups / (groups - 1) * np.maximum(excess, 0.0) / rows**2
        effect = rows * float((variances / shares).sum()) / degrees
        return rows / max(effect, 1.0)


def measure(
    reference: Distribution,
    reference_rows: float,
    values: NDArray[np.float64],
    requests: NDArray[np.intp] | None = None,
) -> Drift:
    """Measure how far values have moved from a reference.

    Args:
        reference: distribution of the training data, or of an earlier sample.
        reference_rows: how many rows it describes; their effective number, where they depend on each other.
        values: finite, of shape (n,).
        requests: number of the request that each value came with, from 0, of shape (n,); without it each
            value is taken to be independent of the others.
    """
    return compare(reference, reference_rows, Counts.of(reference, values, requests))


def compare(reference: Distribution, reference_rows: float, counts: Counts) -> Drift:
    """Measure how far a sample that was counted in the bins of a reference has moved from it."""
    if not counts.rows:
        return Drift(math.nan, 0.0, 0, 0.0)
    p = counts.bins / counts.rows
    q = np.asarray(reference.proportions)
    rows = counts.effective_rows
    pooled = (rows * p + reference_rows * q) / (rows + reference_rows)
    return Drift(
        index=_stability_index(p, q),
        chi_square=2 * (rows * _divergence(p, pooled) + reference_rows * _divergence(q, pooled)),
        degrees=int((pooled > 0).sum()) - 1,
        rows=rows,
    )


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Compute the relative entropy of shares p against q, which are above 0 where p are."""
    occupied = p > 0
    return float(np.sum(p[occupied] * np.log(p[occupied] / q[occupied])))


def chi_square_quantile(degrees: int, level: float) -> float:
    """Return the value that chi-square exceeds with probability ``level``.

    By Wilson and Hilferty's approximation (The distribution of chi-square, 1931), which is too large by 12 %
    of one degree of freedom at a level of 1e-5, and by less than 2 % from five degrees on.
    """
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(1 - level) * math.sqrt(spread)) ** 3)


def _stability_index(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Compute the index; an empty bin counts as a share of 0.0001, so that one is not infinitely far."""
    p, q = np.maximum(p, _EMPTY), np.maximum(q, _EMPTY)
    return float(np.sum((p - q) * np.log(p / q)))


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size <= bins:
        return distinct[1:]
    masses = distinct[counts * bins >= values.size]
    rest = values[~np.isin(values, masses)] if masses.size else values
    # Two bins at least, so that a move within a small rest is seen.
    shares = max(round(bins * rest.size / values.size), 2)
    quantiles = np.quantile(rest, np.linspace(0, 1, shares + 1)[1:-1]) if rest.size else rest
    edges = np.unique(np.concatenate([quantiles, masses, np.nextafter(masses, np.inf)]))
    edges = edges[edges > distinct[0]]
    # A bin without values joins the one before it.
    return edges[np.isin(np.arange(edges.size) + 1, np.searchsorted(edges, distinct, side="right"))]
