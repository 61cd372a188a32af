"""Predictions as JSON, with the shortest digits that read back the same."""

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

_WRITTEN_AT_ONCE = 2**17
"""Numbers of an array that are written at once: the interpreter's lock is held as long."""


def prediction(value: float) -> bytes:
    """Write ``{"prediction": y}``."""
    return b'{"prediction":%b}' % orjson.dumps(value)


def predictions(values: NDArray[np.float64] | Sequence[float]) -> bytes:
    """Write ``{"predictions": [y, ...]}``."""
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
