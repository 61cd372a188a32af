"""Predictions as JSON, with the shortest digits that read back the same."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.model.base import Model

_WRITTEN_AT_ONCE = 2**17
"""Numbers that are written at once: the interpreter's lock is held as long."""
_ROWS_AT_ONCE = 2**14
"""Rows of a few numbers that are: they take longer."""


def prediction(value: float, half_width: float | None = None) -> bytes:
    """Write ``{"prediction": y}``, and ``"interval": [low, high]`` if half of its width is given."""
    if half_width is None:
        return b'{"prediction":%b}' % orjson.dumps(value)
    return orjson.dumps({"prediction": value, "interval": [value - half_width, value + half_width]})


def predictions(values: NDArray[np.float64], half_width: float | None = None) -> bytes:
    """Write ``{"predictions": [y, ...]}``; with half a width also ``"intervals": [[low, high], ...]``."""
    if half_width is None:
        return array(values, b'{"predictions":[', b"]}")
    intervals = array(np.column_stack([values - half_width, values + half_width]), b'],"intervals":[', b"]}")
    return array(values, b'{"predictions":[', intervals)


def explanations(
    model: Model, X: NDArray[np.float64], predictions: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return for each row the prediction, and the intercept and contributions that add up to it."""
    contributions = model.contributions(X).tolist()
    return [
        {
            "prediction": prediction,
            "intercept": model.intercept,
            "contributions": dict(zip(model.names, row, strict=True)),
        }
        for prediction, row in zip(predictions.tolist(), contributions, strict=True)
    ]


def array(values: NDArray[np.float64], before: bytes = b"[", after: bytes = b"]") -> bytes:
    """Write numbers of shape (n,), or rows of them of shape (n, k), as a JSON array.

    Args:
        values: the numbers.
        before: what stands in the place of the array's first bracket.
        after: what stands in the place of its last one.
    """
    # Formatting would copy five times as slowly.
    return b"".join([before, b",".join(pieces(values)), after])


def pieces(values: NDArray[np.float64]) -> Iterator[bytes]:
    """Return the inside of such an array in pieces, without the commas between them."""
    at_once = _WRITTEN_AT_ONCE if values.ndim == 1 else _ROWS_AT_ONCE
    for start in range(0, len(values), at_once):
        yield orjson.dumps(values[start : start + at_once], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
