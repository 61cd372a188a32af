"""Predictions as JSON, with the shortest digits that read back the same."""

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

_WRITTEN_AT_ONCE = 2**17
"""Numbers of an array that are written at once: the interpreter's lock is held as long."""


def prediction(value: float, half_width: float | None = None) -> bytes:
    """Write ``{"prediction": y}``, and ``"interval": [low, high]`` if half of its width is given."""
    if half_width is None:
        return b'{"prediction":%b}' % orjson.dumps(value)
    return orjson.dumps({"prediction": value, "interval": [value - half_width, value + half_width]})


def predictions(values: NDArray[np.float64], half_width: float | None = None) -> bytes:
    """Write ``{"predictions": [y, ...]}``; with half a width also ``"intervals": [[low, high], ...]``."""
    if half_width is not None:
        intervals = np.column_stack([values - half_width, values + half_width])
        document = {"predictions": values, "intervals": intervals}
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if len(values) <= _WRITTEN_AT_ONCE:
        return orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b'{"predictions":%b}' % array(values)


def array(values: NDArray[np.float64] | Sequence[float]) -> bytes:
    """Write numbers of shape (n,) as a JSON array."""
    if len(values) <= _WRITTEN_AT_ONCE:
        return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    starts = range(0, len(values), _WRITTEN_AT_ONCE)
    parts = (array(values[i : i + _WRITTEN_AT_ONCE])[1:-1] for i in starts)
    return b"[%b]" % b",".join(parts)
