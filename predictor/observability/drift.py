"""Drift of what clients ask now: a sample of the requests, counted in the bins of the model's training data.

A request is taken into the sample or passed over, in less than a microsecond; what was taken is counted once
a second, in a thread. The counts of a sliding window are kept in panes, so that the oldest can be dropped.
Counts add up: those of several pods are the fleet's.
"""

import math
import operator
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
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

UNUSUAL = {
    "outside": "Numbers outside the training range.",
    "unknown": "Categories that the model does not know.",
    "missing": "Numbers equal to what replaces a missing value.",
}
"""The kinds of unusual values."""

_ROWS_A_REQUEST = 1000
_REQUESTS_A_ROUND = 400
"""Taking a request costs as much as a tenth of answering it."""
_ROWS_A_ROUND = 2000
_NUMBERS_A_ROUND = 20_000
_PANES = 12
_NEVER = sys.maxsize


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of a column.

    Attributes:
        counts: its rows in the bins of the training data.
        unusual: how many values are unusual, by a kind of ``UNUSUAL``, as far as the column can have such.
    """

    counts: Counts
    unusual: dict[str, int]

    def __add__(self, other: "Sample") -> "Sample":
        """Return two samples together."""
        unusual = {kind: count + other.unusual[kind] for kind, count in self.unusual.items()}
        return Sample(self.counts + other.counts, unusual)


@dataclass(frozen=True, slots=True)
class Column:
    """What a sample tells about a column.

    Attributes:
        name: of the input, or ``PREDICTION``.
        reference: its distribution in the training data.
        sample: what was counted.
        drift: how far it has moved.
        moved: whether that is large and beyond chance; None if there are too few rows to tell.
    """

    name: str
    reference: Distribution
    sample: Sample
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
    """What was counted in one part of the window, by column."""

    started: float
    samples: list[Sample] = field(default_factory=list)


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
                pane = self._panes[-1]
                pane.samples = _together([pane.samples, _counted(loaded.model, taken)])
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
        samples = _together([pane.samples for pane in self._panes])
        if not samples:
            return None
        references = _references(loaded.model)
        rows, count = loaded.model.reference.rows, len(references)
        columns = []
        for (name, reference), sample in zip(references, samples, strict=True):
            found = compare(reference, rows, sample.counts)
            moved = found.moved(count) if found.rows >= FEWEST_ROWS else None
            columns.append(Column(name, reference, sample, found, moved))
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


def _counted(model: Model, taken: Sequence[tuple[Rows, Values]]) -> list[Sample]:
    """Count rows in the bins of each column of a model."""
    X, values = join([rows for rows, _ in taken]), join([values for _, values in taken])
    lengths = [len(part) for _, part in taken]
    requests = np.arange(len(lengths)).repeat(lengths)
    inputs, references = model.inputs[:MOST_COLUMNS], [reference for _, reference in _references(model)]
    samples = [
        Sample(Counts.of(reference, X[:, i], requests), _unusual(one, X[:, i]))
        for i, (one, reference) in enumerate(zip(inputs, references, strict=False))
    ]
    return [*samples, Sample(Counts.of(references[-1], values, requests), {})]


def _unusual(one: Input, values: NDArray[np.float64]) -> dict[str, int]:
    """Count the unusual values of an input, of shape (n,), by kind."""
    found = {}
    if one.type == "number":
        found["outside"] = (values < one.minimum) | (values > one.maximum)
        if one.missing is not None:
            found["missing"] = values == one.missing
    elif one.accepts_unknown:
        found["unknown"] = values < 0
    return {kind: int(unusual.sum()) for kind, unusual in found.items()}


def _together(parts: Iterable[list[Sample]]) -> list[Sample]:
    """Return the samples of some parts of the window together, by column; of parts without any, none."""
    return [reduce(operator.add, samples) for samples in zip(*filter(None, parts), strict=True)]


def _document(column: Column) -> dict[str, Any]:
    counts, found = column.sample.counts, column.drift
    return {
        "name": column.name,
        "index": found.index,
        "rows": counts.rows,
        "effective_rows": found.rows,
        "requests": counts.requests,
        "moved": column.moved,
        **{kind: column.sample.unusual.get(kind) for kind in UNUSUAL},
        "edges": column.reference.edges,
        "reference": column.reference.proportions,
        "sample": (counts.bins / counts.rows).tolist(),
    }
