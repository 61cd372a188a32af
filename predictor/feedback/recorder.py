"""What was predicted and what came true, kept as Parquet for the next training.

Two kinds of files are written, ``predictions/DAY/NAME.parquet`` and ``truths/DAY/NAME.parquet``. A row of a
prediction has the request's id, its place in the request, the time, the model's version, the features and the
prediction; a row of the truth has the id, the place, the time and the true value. Our own columns begin with
an underscore. Whoever reads them joins the two by ``_id`` and ``_row``; of rows that are there twice the last
one counts, for what was stored in a crash may be sent again.
"""

import io
import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import count, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.feedback.batch_writer import BatchWriter
from predictor.feedback.store import Put

LAST_ROW = 2**53 - 1
"""The last row of a request that ground truth can be for: a JSON number that every reader has exactly."""

_MICROSECONDS = 1e6
_OVERHEAD = 200
"""Bytes that an item takes beside its numbers."""
_CLOSING_SECONDS = 5.0


class Predicted(NamedTuple):
    """Rows of one request, of shape (n, d), and their predictions, of shape (n,); who predicted, and when.

    ``first`` is the place of the first of them: a stream of records is kept as it comes.
    """

    id: str
    seconds: float
    names: tuple[str, ...]
    version: str
    rows: NDArray[np.float64]
    values: NDArray[np.float64]
    first: int = 0


class GroundTruth(NamedTuple):
    """The true values for the rows of one request, from the place ``first`` on."""

    id: str
    targets: Sequence[float]
    first: int = 0


class GroundTruthBatch(NamedTuple):
    """What one request of a client says came true, and what to tell once that is stored."""

    seconds: float
    truths: Sequence[GroundTruth]
    stored: Future[None]


class Recorder:
    """Keeps both kinds; what is predicted never waits for it."""

    def __init__(self, put: Put, limit: int, seconds: float) -> None:
        """Start to keep.

        Args:
            put: the store.
            limit: bytes of each kind that may wait for the store.
            seconds: how long predictions may wait until they are written; truths wait for a moment only, for
                whoever sends them is told when they are stored.
        """
        self._put = put
        self._origin = f"{socket.gethostname()}-{os.urandom(4).hex()}"
        self._numbers = count()
        self.predictions = BatchWriter[Predicted]("predictions", self._write_predictions, limit, seconds)
        self.truths = BatchWriter[GroundTruthBatch]("truths", self._write_truths, limit, min(0.2, seconds))

    def predicted(self, item: Predicted) -> None:
        """Keep the rows of a request and their predictions, or count them as lost when too many wait."""
        self.predictions.offer(item, item.rows.nbytes + item.values.nbytes + _OVERHEAD)

    def record_ground_truth(self, truths: Sequence[GroundTruth]) -> Future[None] | None:
        """Keep true values; what is returned is done when they are stored. None when too many wait."""
        size = sum(8 * len(truth.targets) + _OVERHEAD for truth in truths)
        stored: Future[None] = Future()
        return stored if self.truths.offer(GroundTruthBatch(time.time(), truths, stored), size) else None

    def close(self) -> None:
        """Write what waits."""
        self.truths.close(_CLOSING_SECONDS)
        self.predictions.close(_CLOSING_SECONDS)

    def _write_predictions(self, batch: list[Predicted]) -> None:
        # A model that was loaded anew may have other features: they get a file of their own.
        for names, items in groupby(batch, key=attrgetter("names")):
            self._write("predictions", _columns(names, list(items)))

    def _write_truths(self, batch: list[GroundTruthBatch]) -> None:
        truths = [(item.seconds, truth) for item in batch for truth in item.truths]
        lengths = [len(truth.targets) for _, truth in truths]
        self._write(
            "truths",
            {
                "_id": _repeated([truth.id for _, truth in truths], lengths),
                "_row": _places([truth.first for _, truth in truths], lengths),
                "_time": _times([seconds for seconds, _ in truths], lengths),
                "_target": np.concatenate([np.asarray(truth.targets, np.float64) for _, truth in truths]),
            },
        )
        for item in batch:
            with suppress(InvalidStateError):  # whoever waited went away
                item.stored.set_result(None)

    def _write(self, kind: str, columns: dict[str, Any]) -> None:
        # Large, and of no use to a server that keeps nothing.
        from arro3.core import Array, DataType, Table
        from arro3.io import write_parquet

        arrays = {
            name: Array(column, DataType.string()) if isinstance(column, list) else Array.from_numpy(column)
            for name, column in columns.items()
        }
        arrays["_time"] = arrays["_time"].cast(DataType.timestamp("us", tz="UTC"))
        file = io.BytesIO()
        write_parquet(Table.from_pydict(arrays), file, compression="zstd(3)")
        day = time.strftime("%Y-%m-%d", time.gmtime())
        self._put(f"{kind}/{day}/{self._origin}-{next(self._numbers):06d}.parquet", file.getvalue())


def _columns(names: Sequence[str], items: Sequence[Predicted]) -> dict[str, Any]:
    lengths = [len(item.values) for item in items]
    rows = np.concatenate([item.rows for item in items])
    return {
        "_id": _repeated([item.id for item in items], lengths),
        "_row": _places([item.first for item in items], lengths),
        "_time": _times([item.seconds for item in items], lengths),
        "_version": _repeated([item.version for item in items], lengths),
        **{name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(names)},
        "_prediction": np.concatenate([item.values for item in items]),
    }


def _repeated(values: Sequence[str], lengths: Sequence[int]) -> list[str]:
    return [value for value, length in zip(values, lengths, strict=True) for _ in range(length)]


def _places(firsts: Sequence[int], lengths: Sequence[int]) -> NDArray[np.int64]:
    parts = zip(firsts, lengths, strict=True)
    return np.concatenate([np.arange(first, first + length, dtype=np.int64) for first, length in parts])


def _times(seconds: Sequence[float], lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.repeat((np.asarray(seconds) * _MICROSECONDS).astype(np.int64), lengths)
