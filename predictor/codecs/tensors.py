"""The tensors of the Open Inference Protocol (V2): names, types, shapes, and their bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import json_strict
from predictor.errors import InvalidInput

INPUT = "instances"
"""The one tensor of shape (n, d); a tensor for each feature, by name, of shape (n) or (n, 1), does too."""

OUTPUT = "predictions"
"""The tensor answered, of shape (n)."""

TYPES: dict[str, np.dtype[Any]] = {
    "FP64": np.dtype("<f8"),
    "FP32": np.dtype("<f4"),
    "FP16": np.dtype("<f2"),
    "INT64": np.dtype("<i8"),
    "INT32": np.dtype("<i4"),
    "INT16": np.dtype("<i2"),
    "INT8": np.dtype("<i1"),
    "UINT64": np.dtype("<u8"),
    "UINT32": np.dtype("<u4"),
    "UINT16": np.dtype("<u2"),
    "UINT8": np.dtype("<u1"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input: its name, its shape as sent, and its numbers in row-major order."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float64]


def inputs(width: int) -> list[dict[str, Any]]:
    """The metadata of the input tensor."""
    return [{"name": INPUT, "datatype": "FP64", "shape": [-1, width]}]


def outputs() -> list[dict[str, Any]]:
    """The metadata of the output tensor."""
    return [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}]


def shape(value: object, where: str) -> tuple[int, ...]:
    """Read a shape of one or two sizes, neither negative.

    Raises:
        InvalidInput: anything else.
    """
    if not isinstance(value, list) or not all(type(size) is int and size >= 0 for size in value):
        raise InvalidInput(f"{where}: expected a list of sizes, got {json_strict.describe(value)}")
    if len(value) not in (1, 2):
        raise InvalidInput(f"{where}: expected one or two sizes, got {len(value)}")
    return tuple(value)


def datatype(value: object, where: str) -> np.dtype[Any]:
    """Read the name of a type of numbers.

    Raises:
        InvalidInput: another type, or none.
    """
    found = TYPES.get(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput(f"{where}: expected one of {', '.join(TYPES)}, got {json_strict.describe(value)}")
    return found


def from_bytes(content: bytes | memoryview, dtype: np.dtype[Any], where: str) -> NDArray[np.float64]:
    """Read the raw bytes of a tensor, little-endian and row-major.

    Raises:
        InvalidInput: not a whole number of elements.
    """
    if len(content) % dtype.itemsize:
        raise InvalidInput(
            f"{where}: {len(content)} bytes are not a whole number of elements of {dtype.itemsize}"
        )
    return np.frombuffer(content, dtype=dtype).astype(np.float64, copy=False)


def matrix(tensors: Sequence[Tensor], names: Sequence[str]) -> NDArray[np.float64]:
    """Put the inputs together to shape (n, d), the features in the order of ``names``.

    Raises:
        InvalidInput: a tensor that is missing, unknown, given twice or of another shape.
    """
    for i, tensor in enumerate(tensors):
        expected = int(np.prod(tensor.shape, dtype=object))
        if tensor.values.size != expected:
            sizes = list(tensor.shape)
            raise InvalidInput(
                f"inputs[{i}]: shape {sizes} needs {expected} numbers, got {tensor.values.size}"
            )
    if len(tensors) == 1 and tensors[0].name == INPUT:
        X = _whole(tensors[0], len(names))
    else:
        X = _columns(tensors, names)
    if not len(X):
        raise InvalidInput("inputs[0]: expected at least one row, got none")
    return X


def _whole(tensor: Tensor, width: int) -> NDArray[np.float64]:
    if tensor.shape[1:] != (width,) and (width, len(tensor.shape)) != (1, 1):
        raise InvalidInput(f"inputs[0].shape: expected [n, {width}], got {list(tensor.shape)}")
    return tensor.values.reshape(-1, width)


def _columns(tensors: Sequence[Tensor], names: Sequence[str]) -> NDArray[np.float64]:
    columns: dict[str, NDArray[np.float64]] = {}
    for i, tensor in enumerate(tensors):
        if tensor.name not in names:
            known = ", ".join(names)
            raise InvalidInput(
                f"inputs[{i}].name: expected {INPUT}, or a feature ({known}), got {tensor.name!r}"
            )
        if tensor.name in columns:
            raise InvalidInput(f"inputs[{i}].name: {tensor.name} is given twice")
        if tensor.shape[1:] not in ((), (1,)):
            raise InvalidInput(f"inputs[{i}].shape: expected [n] or [n, 1], got {list(tensor.shape)}")
        columns[tensor.name] = tensor.values
    if missing := [name for name in names if name not in columns]:
        raise InvalidInput(f"inputs: the feature {missing[0]} is missing")
    if len({len(column) for column in columns.values()}) > 1:
        raise InvalidInput("inputs: the features have different numbers of rows")
    return np.stack([columns[name] for name in names], axis=1)
