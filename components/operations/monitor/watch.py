"""Looking at what was kept lately, with the champion's eyes."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.operations.monitor import feedback
from components.operations.monitor.drift import drift
from components.operations.monitor.due import Seen
from predictor.model.base import Model


def look(
    url: str,
    model: Model,
    version: str,
    *,
    days: int = 7,
    held_out_mse: float = math.nan,
    registered: float = 0.0,
    now: datetime | None = None,
) -> Seen:
    """Measure drift and quality over the last days.

    Drift is of everything that was asked, whichever version answered; quality is of the champion's answers
    alone.

    Args:
        url: where the predictor keeps what it saw.
        model: the champion.
        version: its version, as the predictor names it.
        days: how many days back, today among them.
        held_out_mse: the champion's mean squared error on the rows held out when it was registered.
        registered: when it was registered, in seconds since 1970.
        now: the end of those days.

    Raises:
        ValueError: the champion has features that were not kept.
    """
    now = now or datetime.now(UTC)
    first, last = ((now - timedelta(days=back)).strftime("%Y-%m-%d") for back in (days - 1, 0))
    predicted = feedback.predictions(url, first, last)
    seen = Seen(rows=predicted.num_rows, held_out_mse=held_out_mse)
    if not predicted.num_rows:
        return seen
    names = [feature.name for feature in model.inputs]
    if missing := sorted(set(names) - set(predicted.column_names)):
        raise ValueError(f"{', '.join(missing)}: no such feature was kept below {url}")
    columns = {name: _values(predicted, name) for name in names}
    seen = replace(seen, drift=drift(model, columns, _values(predicted, "_prediction")))
    told = feedback.truths(url, first, last)
    seen = replace(seen, news=_since(told, registered))
    judged = feedback.join(predicted, told).rows
    if judged.num_rows:
        judged = judged.filter(pc.field("_version") == version)
    if not judged.num_rows:
        return seen
    errors = _values(judged, "_prediction") - _values(judged, "_target")
    return replace(seen, truths=judged.num_rows, live_mse=float(np.mean(errors**2)))


def _since(told: pa.Table, seconds: float) -> int:
    if not told.num_rows:
        return 0
    moment = pa.scalar(datetime.fromtimestamp(seconds, UTC), told.schema.field("_time").type)
    return int(pc.sum(pc.greater(told["_time"], moment)).as_py())


def _values(table: pa.Table, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].to_numpy(), dtype=np.float64)
