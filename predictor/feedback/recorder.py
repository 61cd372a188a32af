"""Records predictions and ground truth as Parquet files.

A file ``predictions/DAY/NAME.parquet`` has a row for each predicted row: the id of the request, the row's
index in it, the trace, who asked, the time, the model's version, the features and the prediction. Categories
are written by name, unknown ones as null, and missing values as what replaced them. A file
``truths/DAY/NAME.parquet`` has id, index, who labelled, whose prediction, time and true value, and the id and
the trace of the request that brought them. Columns other than the features begin with an underscore.

Readers join the two by ``_id``, ``_row`` and the principal: ``_for`` of a label is the ``_principal`` of the
prediction, or null if the label is for any principal's. Rows may be repeated: a batch whose writing was
interrupted may be written again.
"""

import io
import logging
import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import chain, count, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from predictor.feedback.batch_writer import BatchWriter
from predictor.feedback.store import Put
from predictor.model.artifact import reserved_names
from predictor.model.inputs import Input, Inputs

MAX_LABELS = 100_000
"""How many requests one body of ground truth may label."""

MAX_PRINCIPAL = 256
"""Characters of the name of a principal in a label."""

LAST_ROW = 2**53 - 1
"""The largest index of a row: every JSON reader has integers up to here exactly."""

_ITEM_BYTES = 400
"""Memory of an item beside its numbers."""
_NUMBER_BYTES = 32
"""Memory of a number in a sequence."""
_CLOSING_SECONDS = 5.0

Rows = NDArray[np.float64] | Sequence[Sequence[float]]
Values = NDArray[np.float64] | Sequence[float]

logger = logging.getLogger(__name__)


class Predicted(Struct, frozen=True, gc=False):
    """Predicted rows of one request.

    So many can wait for the store that the garbage collector would hold up the event loop to look at them.

    Attributes:
        id: the request's id.
        principal: the name of who asked; empty for a client without a credential.
        seconds: when they were predicted, since 1970.
        inputs: of the model.
        version: the model's version.
        rows: shape (n, d), as an array or, of a small request, as sequences.
        values: their predictions, shape (n,), likewise.
        first: the index of the first of these rows in the request; a stream is recorded in parts.
        trace: the id of the trace that the request is part of.
    """

    id: str
    principal: str
    seconds: float
    inputs: Inputs
    version: str
    rows: Rows
    values: Values
    first: int = 0
    trace: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        if isinstance(self.rows, np.ndarray):
            return self.rows.nbytes + np.asarray(self.values).nbytes + _ITEM_BYTES
        return len(self.values) * (self.inputs.width + 1) * _NUMBER_BYTES + _ITEM_BYTES


class GroundTruth(NamedTuple):
    """The true values of successive rows of one request.

    Attributes:
        id: the request's id.
        targets: the true values.
        first: the index of the first of these rows in the request.
        principal: who made that request; None for any principal.
    """

    id: str
    targets: Sequence[float]
    first: int = 0
    principal: str | None = None


class GroundTruthRequest(NamedTuple):
    """The ground truth that one request brought.

    Attributes:
        principal: the name of who sent it.
        seconds: when, since 1970.
        labels: the true values.
        stored: is done once they are stored.
        id, trace: of the request.
    """

    principal: str
    seconds: float
    labels: Sequence[GroundTruth]
    stored: Future[None]
    id: str = ""
    trace: str = ""


class Recorder:
    """Records predictions and ground truth. Requests for predictions never wait for it."""

    def __init__(self, put: Put, limit: int, seconds: float) -> None:
        """Start to record.

        Args:
            put: the store.
            limit: bytes that may wait for the store, of predictions and of ground truth each.
            seconds: how long predictions may wait before they are written. Ground truth is written at once,
                since clients wait until it is stored.
        """
        self._put = put
        self._origin = f"{socket.gethostname()}-{os.urandom(4).hex()}"
        self._numbers = count()
        self._recordable: tuple[Inputs, bool] = (Inputs(), True)
        self.predictions = BatchWriter[Predicted]("predictions", self._write_predictions, limit, seconds)
        self.ground_truth = BatchWriter[GroundTruthRequest](
            "truths", self._write_ground_truth, limit, min(0.2, seconds)
        )

    def record_predictions(self, item: Predicted) -> None:
        """Record predictions. Without room, or with reserved feature names, they are only counted as lost."""
        inputs, recordable = self._recordable
        if item.inputs is not inputs:
            recordable = _check_names(item.inputs.names)
            self._recordable = item.inputs, recordable
        if recordable:
            self.predictions.offer(item, item.size)
        else:
            self.predictions.reject()

    def record_ground_truth(
        self, principal: str, labels: Sequence[GroundTruth], request_id: str = "", trace: str = ""
    ) -> Future[None] | None:
        """Record ground truth that a principal sent in the request of this id and trace.

        Returns:
            A future that is done once it is stored; None without room.
        """
        size = sum(8 * len(label.targets) + _ITEM_BYTES for label in labels)
        stored: Future[None] = Future()
        item = GroundTruthRequest(principal, time.time(), labels, stored, request_id, trace)
        return stored if self.ground_truth.offer(item, size) else None

    def close(self) -> None:
        """Write what waits, for a few seconds at most."""
        self.ground_truth.close(_CLOSING_SECONDS)
        self.predictions.close(_CLOSING_SECONDS)

    def _write_predictions(self, batch: list[Predicted]) -> None:
        # A reloaded model may have other features; they go to a file of their own.
        for inputs, items in groupby(batch, key=attrgetter("inputs")):
            self._write("predictions", _prediction_columns(inputs, list(items)))

    def _write_ground_truth(self, batch: list[GroundTruthRequest]) -> None:
        labels = [label for item in batch for label in item.labels]
        lengths = [len(label.targets) for label in labels]
        counts = [sum(len(label.targets) for label in item.labels) for item in batch]
        self._write(
            "truths",
            {
                "_id": _repeat([label.id for label in labels], lengths),
                "_row": _row_indexes([label.first for label in labels], lengths),
                "_principal": _repeat([item.principal for item in batch], counts),
                "_for": _repeat([label.principal for label in labels], lengths),
                "_request": _repeat([item.id for item in batch], counts),
                "_trace": _repeat([item.trace for item in batch], counts),
                "_time": _microseconds([item.seconds for item in batch], counts),
                "_target": np.concatenate([np.asarray(label.targets, np.float64) for label in labels]),
            },
        )
        for item in batch:
            with suppress(InvalidStateError):  # the client no longer waits
                item.stored.set_result(None)

    def _write(self, kind: str, columns: dict[str, Any]) -> None:
        # Imported only if needed: they are large.
        from arro3.core import Array, DataType, Table
        from arro3.io import write_parquet

        arrays = {
            # Lists are made only here: the garbage collector visits each item of a list.
            name: Array(column.tolist(), DataType.string())
            if column.dtype == object
            else Array.from_numpy(column)
            for name, column in columns.items()
        }
        arrays["_time"] = arrays["_time"].cast(DataType.timestamp("us", tz="UTC"))
        file = io.BytesIO()
        write_parquet(Table.from_pydict(arrays), file, compression="zstd(3)")
        day = time.strftime("%Y-%m-%d", time.gmtime())
        self._put(f"{kind}/{day}/{self._origin}-{next(self._numbers):06d}.parquet", file.getvalue())


def _check_names(names: tuple[str, ...]) -> bool:
    reserved = reserved_names(names)
    if reserved:
        logger.error(
            "not recording predictions: feature names that begin with an underscore are reserved: %s",
            ", ".join(reserved),
        )
    return not reserved


def _prediction_columns(inputs: Inputs, items: Sequence[Predicted]) -> dict[str, Any]:
    lengths = [len(item.values) for item in items]
    rows = join([item.rows for item in items])
    return {
        "_id": _repeat([item.id for item in items], lengths),
        "_row": _row_indexes([item.first for item in items], lengths),
        "_trace": _repeat([item.trace for item in items], lengths),
        "_principal": _repeat([item.principal for item in items], lengths),
        "_time": _microseconds([item.seconds for item in items], lengths),
        "_version": _repeat([item.version for item in items], lengths),
        **{one.name: _values(one, rows[:, i]) for i, one in enumerate(inputs)},
        "_prediction": join([item.values for item in items]),
    }


def _values(one: Input, numbers: NDArray[np.float64]) -> Any:
    """Return the values of an input, as training reads them, from their numbers of shape (n,)."""
    if one.type == "category":
        # The number of an unknown category is -1.
        return np.array([*one.categories, None], object)[numbers.astype(np.int64)]
    return numbers == 1 if one.type == "boolean" else np.ascontiguousarray(numbers)


def join(parts: Sequence[Rows | Values]) -> NDArray[np.float64]:
    """Join arrays and sequences; successive sequences become one array, which is ten times as fast."""
    arrays: list[Any] = []
    for is_array, group in groupby(parts, key=lambda part: isinstance(part, np.ndarray)):
        alike = list(group)
        arrays += alike if is_array else [np.array(list(chain.from_iterable(alike)), np.float64)]
    return np.concatenate(arrays)


def _repeat(values: Sequence[object], lengths: Sequence[int]) -> NDArray[np.object_]:
    return np.repeat(np.array(values, object), lengths)


def _row_indexes(firsts: Sequence[int], lengths: Sequence[int]) -> NDArray[np.int64]:
    ends = np.cumsum(lengths)
    return np.arange(ends[-1], dtype=np.int64) + np.repeat(np.asarray(firsts) - ends + lengths, lengths)


def _microseconds(seconds: Sequence[float], lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.repeat((np.asarray(seconds) * 1e6).astype(np.int64), lengths)
