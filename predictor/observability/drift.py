"""Drift of what clients ask now: a sample of the requests, counted in the bins of the model's training data.

A request is taken into the sample or passed over, in less than a microsecond; what was taken is counted once
a second, in a thread. The counts of a sliding window are kept in panes, so that the oldest can be dropped.
Counts add up: those of several pods are the fleet's.
"""

import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.feedback.recorder import Rows, Values, join
from predictor.messages import Request, Response
from predictor.model.base import Model
from predictor.model.drift import FEWEST_ROWS, THRESHOLD, Counts, Distribution, Drift, compare
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.inputs import Input

PREDICTION = "(prediction)"
"""The column of predictions, beside the inputs."""
MOST_COLUMNS = 50
"""The first inputs of a wide model; a retraining's decision looks at all of them."""

_ROWS_A_REQUEST = 1000
_REQUESTS_A_ROUND = 400
"""Taking a request costs as much as a tenth of answering it."""
_ROWS_A_ROUND = 2000
_NUMBERS_A_ROUND = 20_000
_PANES = 12
_NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Unusual:
    """How many values of a column are unusual; None for what its values can't be.

    Attributes:
        outside: numbers outside the range of the training rows.
        unknown: categories that the model does not know.
        missing: numbers equal to the one that replaces a missing value.
    """

    outside: int | None = None
    unknown: int | None = None
    missing: int | None = None

    @classmethod
    def of(cls, one: Input, values: NDArray[np.float64]) -> "Unusual":
        """Count the values of an input, of shape (n,)."""
        if one.type == "category":
            return cls(unknown=int((values < 0).sum()) if one.accepts_unknown else None)
        if one.type == "boolean":
            return cls()
        outside = int(((values < one.minimum) | (values > one.maximum)).sum())
        return cls(outside, missing=None if one.missing is None else int((values == one.missing).sum()))

    def __add__(self, other: "Unusual") -> "Unusual":
        """Return the counts of two samples together."""
        return Unusual(
            _sum(self.outside, other.outside),
            _sum(self.unknown, other.unknown),
            _sum(self.missing, other.missing),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


@dataclass(frozen=True, slots=True)
class Column:
    """What a sample tells about a column.

    Attributes:
        name: of the input, or ``PREDICTION``.
        reference: its distribution in the training data.
        counts: the sample in the bins of the reference.
        unusual: values that are unusual.
        drift: how far it has moved.
        moved: whether that is large and beyond chance; None if there are too few rows to tell.
    """

    name: str
    reference: Distribution
    counts: Counts
    unusual: Unusual
    drift: Drift
    moved: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """The sample of the window that ends now.

    Attributes:
        loaded: the model that answered.
        columns: its first inputs, and the prediction.
    """

    loaded: LoadedModel
    columns: tuple[Column, ...]


@dataclass(slots=True)
class _Pane:
    """What was counted in one part of the window."""

    started: float
    counts: list[Counts] = field(default_factory=list)
    unusual: list[Unusual] = field(default_factory=list)

    def add(self, counts: Sequence[Counts], unusual: Sequence[Unusual]) -> None:
        if self.counts:
            counts = [old + new for old, new in zip(self.counts, counts, strict=True)]
            unusual = [old + new for old, new in zip(self.unusual, unusual, strict=True)]
        self.counts, self.unusual = list(counts), list(unusual)


class DriftMonitor:
    """Samples requests and answers, and measures drift over the last seconds.

    Args:
        handle: the model.
        seconds: how long the window is; 0 for no sample.
        clock: returns seconds.

    Attributes:
        skip: requests to pass over before the next one is taken.
        report: what the sample tells; None as long as there is none.
    """

    def __init__(
        self, handle: ModelHandle, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.handle = handle
        self.seconds = seconds
        self.report: Report | None = None
        self.skip = 0 if seconds else _NEVER
        self._clock = clock
        self._share = 1.0
        self._granted = self._room = _ROWS_A_ROUND
        self._left = _REQUESTS_A_ROUND
        self._waiting: list[tuple[LoadedModel, Rows, Values]] = []
        self._loaded: LoadedModel | None = None
        self._panes: deque[_Pane] = deque()

    def offer(self, rows: Rows, values: Values) -> None:
        """Take a request's rows, of shape (n, d), and their predictions into the sample, or pass it over."""
        if self.skip:
            self.skip -= 1
        else:
            self.take(rows, values)

    def take(self, rows: Rows, values: Values) -> None:
        """Take a random part of a request's rows, at most 1,000, unless enough were taken in this second."""
        loaded = self.handle.loaded
        if loaded is None:
            return
        most = min(_ROWS_A_REQUEST, _round_rows(loaded.model))
        if isinstance(rows, np.ndarray):
            rows = rows[:, :MOST_COLUMNS]
        elif loaded.model.width > MOST_COLUMNS:
            rows = [row[:MOST_COLUMNS] for row in rows]
        if len(values) > most:
            chosen = np.random.default_rng().integers(len(values), size=most)
            rows, values = np.asarray(rows)[chosen], np.asarray(values)[chosen]
        elif isinstance(rows, np.ndarray):  # a view would keep the whole body in memory
            rows, values = rows.copy(), np.array(values)
        self._room -= len(values)
        self._waiting.append((loaded, rows, values))
        self._left -= 1
        self.skip = self._draw() if self._room > 0 and self._left > 0 else _NEVER

    def count(self) -> None:
        """Count what was taken since the last call; to be called once a second, in a thread."""
        if not self.seconds:
            return
        loaded = self.handle.loaded
        if loaded is not self._loaded:
            self._loaded, self.report = loaded, None
            self._panes.clear()
        waiting, self._waiting = self._waiting, []
        if loaded is None:
            return
        taken = [(rows, values) for model, rows, values in tuple(waiting) if model is loaded]
        self._adapt(len(taken), _round_rows(loaded.model))
        if self._expire() or taken:
            if taken:
                self._panes[-1].add(*_counted(loaded.model, taken))
            self.report = self._summarize(loaded)

    def _draw(self) -> int:
        """Return how many requests to pass over, so that each is taken with the same probability."""
        if self._share >= 1:
            return 0
        return int(math.log(1 - random.random()) / math.log1p(-self._share))  # noqa: S311  no secret

    def _adapt(self, taken: int, most: int) -> None:
        """Choose the share of the requests that is taken, so that half of the room will be used.

        Args:
            taken: requests that were taken.
            most: rows that there is room for.
        """
        passed = _NEVER - self.skip if self._room <= 0 or self._left <= 0 else 0
        seen = taken / self._share + passed
        used = self._granted - self._room
        if taken and used:
            wanted = min(_REQUESTS_A_ROUND, most * taken / used) / 2
            self._share = min(1.0, wanted / seen)
        else:
            self._share = 1.0
        self._granted = self._room = most
        self._left = _REQUESTS_A_ROUND
        self.skip = self._draw()

    def _expire(self) -> bool:
        """Drop the panes that the window has left, and begin the next in time; returns whether any was."""
        now, count = self._clock(), len(self._panes)
        while self._panes and now - self._panes[0].started >= self.seconds:
            self._panes.popleft()
        expired = len(self._panes) < count
        if not self._panes or now - self._panes[-1].started >= self.seconds / _PANES:
            self._panes.append(_Pane(now))
        return expired

    def _summarize(self, loaded: LoadedModel) -> Report | None:
        total = _Pane(0.0)
        for pane in self._panes:
            if pane.counts:
                total.add(pane.counts, pane.unusual)
        if not total.counts:
            return None
        references = _references(loaded.model)
        rows, count = loaded.model.reference.rows, len(references)
        columns = []
        for (name, reference), counts, unusual in zip(references, total.counts, total.unusual, strict=True):
            found = compare(reference, rows, counts)
            moved = found.moved(count) if found.rows >= FEWEST_ROWS else None
            columns.append(Column(name, reference, counts, unusual, found, moved))
        return Report(loaded, tuple(columns))

    def show(self, _request: Request) -> Response:
        """Answer ``GET /drift``."""
        report = self.report
        return Response.of(
            {
                "model": self.handle.name,
                "version": self.handle.version,
                "window_seconds": self.seconds,
                "threshold": THRESHOLD,
                "fewest_rows": FEWEST_ROWS,
                "columns": list(map(_document, report.columns)) if report else [],
            }
        )


def _round_rows(model: Model) -> int:
    """Return how many rows of a model are counted in a second."""
    return max(1, min(_ROWS_A_ROUND, _NUMBERS_A_ROUND // min(model.width, MOST_COLUMNS)))


def _references(model: Model) -> list[tuple[str, Distribution]]:
    known = model.reference.features
    inputs = [(one.name, known[one.name]) for one in model.inputs[:MOST_COLUMNS]]
    return [*inputs, (PREDICTION, model.reference.prediction)]


def _counted(model: Model, taken: Sequence[tuple[Rows, Values]]) -> tuple[list[Counts], list[Unusual]]:
    """Count rows in the bins of each column of a model."""
    X, values = join([rows for rows, _ in taken]), join([values for _, values in taken])
    lengths = [len(part) for _, part in taken]
    requests = np.arange(len(lengths)).repeat(lengths)
    inputs = model.inputs[:MOST_COLUMNS]
    columns = [X[:, i] for i in range(len(inputs))]
    references = [reference for _, reference in _references(model)]
    counts = [
        Counts.of(reference, column, requests)
        for reference, column in zip(references, [*columns, values], strict=True)
    ]
    return counts, [*starmap(Unusual.of, zip(inputs, columns, strict=True)), Unusual()]


def _document(column: Column) -> dict[str, Any]:
    rows, edges = column.counts.rows, column.reference.edges
    found, unusual = column.drift, column.unusual
    return {
        "name": column.name,
        "index": found.index,
        "rows": rows,
        "effective_rows": found.rows,
        "requests": column.counts.requests,
        "moved": column.moved,
        "outside": unusual.outside,
        "unknown": unusual.unknown,
        "missing": unusual.missing,
        "edges": edges,
        "reference": column.reference.proportions,
        "sample": (column.counts.bins / rows).tolist(),
    }
