"""Compares recent predictions with the champion's training rows, and their errors with its held-out rows."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.operations.monitor import feedback
from components.operations.monitor.due import Answered, Error, Observations
from predictor.model.base import Model
from predictor.model.drift import Counts, Distribution, Drift, measure
from predictor.model.inputs import Input

PREDICTION = "(prediction)"
"""The column of predictions, among the inputs."""
# Longer requests and streams count as several. Otherwise the seven requests a week of a daily batch job would
# never be enough to find drift.
ROWS_TOGETHER = 10


def observe(
    url: str,
    model: Model,
    version: str,
    *,
    days: int = 7,
    held_out: Error = Error(),  # noqa: B008 - immutable
    registered: float = 0.0,
    answered: str = "",
    now: datetime | None = None,
) -> Observations:
    """Measure drift and quality over the last days.

    Drift is of all requests, whichever version answered; quality is of the champion's answers alone.

    Args:
        url: where the predictor records predictions and labels.
        model: the champion.
        version: its version, as the predictor names it.
        days: how many days back, today among them.
        held_out: the champion's error on the rows held out when it was registered.
        registered: when it was registered, in seconds since 1970.
        answered: days that an attempt of a retraining has answered, as ``window`` names them. If nothing
            recorded then is left, they are as good as not answered.
        now: the end of those days.

    Raises:
        ValueError: the champion has inputs that were not recorded.
    """
    now = now or datetime.now(UTC)
    first, last = window(days, now).split("/")
    predicted = feedback.predictions(url, first, last)
    age = (now.timestamp() - registered) / 86400 if registered else 0.0
    observed = Observations(rows=predicted.num_rows, held_out=held_out, age=age)
    if not predicted.num_rows:
        return observed
    columns = _columns(predicted, model, url)
    reference = {**model.reference.features, PREDICTION: model.reference.prediction}
    requests = _requests(predicted)
    labels = feedback.truths(url, first, last)
    observed = replace(
        observed,
        drift={
            name: measure(reference[name], model.reference.rows, values, requests)
            for name, values in columns.items()
        },
        news=_since(labels, registered),
        live=_error(feedback.join(predicted, labels).rows, version),
    )
    return replace(observed, answered=_answered(url, model, version, answered, columns, requests))


def window(days: int, now: datetime | None = None) -> str:
    """Name the last days, today among them, by the first and the last: ``2026-01-25/2026-01-31``."""
    now = now or datetime.now(UTC)
    return "/".join((now - timedelta(days=back)).strftime("%Y-%m-%d") for back in (days - 1, 0))


def _answered(
    url: str,
    model: Model,
    version: str,
    days: str,
    columns: Mapping[str, NDArray[np.float64]],
    requests: NDArray[np.intp],
) -> Answered:
    """Measure how far the columns have moved since the days that an attempt has answered."""
    if not days:
        return Answered()
    first, last = days.split("/")
    then = feedback.predictions(url, first, last)
    if not then.num_rows or not set(model.names).issubset(then.column_names):
        return Answered()
    together = _requests(then)
    moved = {
        name: _since_then(model, name, values, together, columns[name], requests)
        for name, values in _columns(then, model, url).items()
    }
    labelled = feedback.join(then, feedback.truths(url, first, last)).rows
    return Answered(days, moved, _error(labelled, version))


def _since_then(
    model: Model,
    name: str,
    then: NDArray[np.float64],
    requests_then: NDArray[np.intp],
    values: NDArray[np.float64],
    requests: NDArray[np.intp],
) -> Drift:
    known = {one.name: one for one in model.inputs}
    before = Distribution.of_input(known[name], then) if name in known else Distribution.of(then)
    rows = Counts.of(before, then, requests_then).effective_rows
    return measure(before, rows, values, requests)


def _columns(predicted: pa.Table, model: Model, url: str) -> dict[str, NDArray[np.float64]]:
    if missing := sorted(set(model.names) - set(predicted.column_names)):
        raise ValueError(f"{', '.join(missing)}: not recorded below {url}")
    columns = {one.name: _numbers(predicted, one) for one in model.inputs}
    return {**columns, PREDICTION: _values(predicted, "_prediction")}


def _numbers(predicted: pa.Table, one: Input) -> NDArray[np.float64]:
    """The numbers with which the model computes; a category that it does not know is -1."""
    if not pa.types.is_string(predicted.schema.field(one.name).type):
        return _values(predicted, one.name)
    numbers = {category: float(number) for number, category in enumerate(one.categories)}
    return np.array([numbers.get(value, -1.0) for value in predicted[one.name].to_pylist()])


def _requests(table: pa.Table) -> NDArray[np.intp]:
    """Number the requests, from 0; a long one is several of ``ROWS_TOGETHER`` rows each."""
    ids = table["_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    parts = np.asarray(table["_row"].to_numpy(), dtype=np.int64) // ROWS_TOGETHER
    _, numbers = np.unique(ids * (parts.max(initial=0) + 1) + parts, return_inverse=True)
    return numbers.astype(np.intp)


def _error(labelled: pa.Table, version: str) -> Error:
    """The error of a version's predictions; the standard error is that of requests as clusters."""
    if labelled.num_rows:
        labelled = labelled.filter(pc.field("_version") == version)
    if not labelled.num_rows:
        return Error()
    squares = np.square(_values(labelled, "_prediction") - _values(labelled, "_target"))
    mse = float(squares.mean())
    requests = _requests(labelled)
    groups = int(requests.max()) + 1
    sums = np.bincount(requests, weights=squares - mse)
    spread = math.sqrt(groups / (groups - 1) * float(sums @ sums)) / squares.size if groups > 1 else math.inf
    return Error(mse, spread, squares.size)


def _since(labels: pa.Table, seconds: float) -> int:
    if not labels.num_rows:
        return 0
    moment = pa.scalar(datetime.fromtimestamp(seconds, UTC), labels.schema.field("_time").type)
    return int(pc.sum(pc.greater(labels["_time"], moment)).as_py())


def _values(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(), dtype=np.float64)
