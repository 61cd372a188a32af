"""What one request had predicted, noted where every way in comes together: at the model function."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from predictor.model.scorer import Scorer


class PredictionCapture:
    """The rows of one request and their predictions, in the order of the request.

    Attributes:
        id: what the request calls itself in its body; None where it does not.
    """

    def __init__(self) -> None:
        self.id: str | None = None
        self._rows: list[NDArray[np.float64]] = []
        self._values: list[NDArray[np.float64]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def note(self, rows: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Note rows of shape (n, d) and their predictions of shape (n,)."""
        self._rows.append(rows)
        self._values.append(values)

    @property
    def rows(self) -> NDArray[np.float64]:
        """All rows, shape (n, d)."""
        return np.concatenate(self._rows)

    @property
    def values(self) -> NDArray[np.float64]:
        """All predictions, shape (n,)."""
        return np.concatenate(self._values)


_current: ContextVar[PredictionCapture | None] = ContextVar("seen", default=None)


@contextmanager
def capture_predictions() -> Iterator[PredictionCapture]:
    """Note what is predicted within the block, by a model whose scorer is a ``WatchedScorer``."""
    seen = PredictionCapture()
    token = _current.set(seen)
    try:
        yield seen
    finally:
        _current.reset(token)


def called(name: str) -> None:
    """Note what the request that is being answered calls itself."""
    if (seen := _current.get()) is not None:
        seen.id = name


class CapturingScorer(Scorer):
    """A scorer that notes what it predicts, for whoever is watching."""

    def row(self, values: Sequence[float]) -> float:
        """Predict one row, and note it."""
        value = super().row(values)
        if (seen := _current.get()) is not None:
            seen.note(np.array([values], dtype=np.float64), np.array([value]))
        return value

    def rows(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows, and note them."""
        values = super().rows(X)
        if (seen := _current.get()) is not None:
            seen.note(X, values)
        return values
