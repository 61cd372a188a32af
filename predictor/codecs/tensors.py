"""The tensors of the Open Inference Protocol (V2): names, types, shapes, and their numbers.

Over REST and gRPC, in JSON, in binary and in typed fields, the same rules hold: a number has to fit the
tensor's type, BOOL counts as 0 and 1, and FP32 and FP16 are rounded to their precision. A tensor of BYTES
holds the categories of an input as texts; an empty one is a missing value, as a NaN is among numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predictor.codecs import columns, features, json_bulk, json_strict
from predictor.codecs.json_bulk import Elements
from predictor.codecs.json_document import Array
from predictor.codecs.json_strict import Where, place
from predictor.errors import InvalidInput, WrongType
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from predictor.wording import plural

INPUT = "instances"
"""The tensor of shape (n, d); a tensor for each feature, by name, of shape (n) or (n, 1), does too.

Where a feature is a category, there must be one for each."""

BYTES = "BYTES"
"""The type of texts."""

PLATFORM = "linear-regressor"
"""The server's name, and the platform of its models."""

OUTPUT = "predictions"
"""The tensor of the response, of shape (n)."""

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
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input: its name, its shape as sent, and its numbers in row-major order."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float64]


def metadata(inputs: Inputs) -> list[dict[str, Any]]:
    """Return the metadata of the input tensors: one for all plain inputs, else one for each."""
    if inputs.plain:
        return [{"name": INPUT, "datatype": "FP64", "shape": [-1, inputs.width]}]
    return [{"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in inputs]


def model_metadata(inputs: Inputs, name: str, version: str | None) -> dict[str, Any]:
    """Return the metadata of a model: its versions, tensors and features."""
    return {
        "name": name,
        "versions": [version] if version else [],
        "platform": PLATFORM,
        "inputs": metadata(inputs),
        "outputs": [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}],
        "parameters": {"features": list(inputs.names)},
    }


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


def datatype(value: object, where: str, one: Input | None = None) -> np.dtype[Any]:
    """Read the name of a type of numbers, or of whole numbers and BYTES if the tensor holds a category.

    Returns:
        The type of its elements; that of Python's objects for BYTES.

    Raises:
        InvalidInput: another type, or none.
    """
    known = TYPES
    if one is not None and one.type == "category":
        whole = {name: dtype for name, dtype in TYPES.items() if dtype.kind in "iu"}
        known = {BYTES: np.dtype(object), **whole}
    found = known.get(value) if isinstance(value, str) else None
    if found is None:
        described = json_strict.describe(value)
        raise InvalidInput(f"{where}: expected one of {', '.join(known)}, got {described}")
    return found


def from_bytes(content: bytes | memoryview, dtype: np.dtype[Any], where: str) -> NDArray[np.float64]:
    """Read the raw bytes of a tensor, little-endian and row-major.

    Raises:
        InvalidInput: not a whole number of elements, or a BOOL other than 0 and 1.
    """
    if len(content) % dtype.itemsize:
        size = plural(len(content), "byte")
        raise InvalidInput(f"{where}: expected a multiple of {dtype.itemsize} bytes, got {size}")
    if dtype.kind == "b":
        return from_numbers(np.frombuffer(content, np.uint8), dtype, where)
    return np.frombuffer(content, dtype).astype(np.float64, copy=False)


def from_numbers(numbers: ArrayLike, dtype: np.dtype[Any], where: str, first: int = 0) -> NDArray[np.float64]:
    """Read the numbers of a tensor, shape (n,), which may have been sent in a wider type than the tensor's.

    A NaN, of a missing value, stays one.

    Args:
        numbers: the numbers.
        dtype: the tensor's type.
        where: the place of the numbers, for messages.
        first: the index of the first number there.

    Raises:
        InvalidInput: one does not fit the tensor's type; it says which.
    """
    sent = np.asarray(numbers)
    values = sent.astype(np.float64, copy=False)
    if dtype.kind == "f":
        return _rounded(values, dtype)
    if not np.can_cast(sent.dtype, dtype) and not (fits := _fits(values, dtype)).all():
        fits |= np.isnan(values)
        if not fits.all():
            wrong = int(np.argmin(fits))
            _refuse(sent[wrong].item(), dtype, (where, first + wrong))
    return values


def from_json(
    array: Array,
    elements: Elements,
    shape: tuple[int, ...],
    where: str,
    request: Request,
    check_rows: Callable[[int], None],
) -> NDArray[np.float64]:
    """Read the numbers of a tensor from its JSON, in row-major order; how they are nested does not count.

    Args:
        array: the inside of the tensor's ``data``.
        elements: how to read them.
        shape: the tensor's shape.
        where: the place of the tensor, for messages.
        request: the request, for its deadline.
        check_rows: is called with the number of rows before they are read, if they can be counted.

    Raises:
        InvalidInput: something is not a number, or does not fit the tensor's type; or there are too many.
        TooCostly: it is so unusual that it would take too long on the event loop.
    """

    def check(most: int) -> None:
        # The client chooses the size of a row, and only a tensor of all inputs is checked against it.
        check_rows(most // row_size(shape) if elements.counted else most)
        if elements.counted and most > 1:
            check_count(shape, most, where, most=True)

    return json_bulk.read(array, elements, request, f"{where}.data", check)


def row_size(shape: tuple[int, ...]) -> int:
    """Return the numbers of a row."""
    return max((1, *shape[1:]))


def check_count(shape: tuple[int, ...], count: int, where: str, *, most: bool = False) -> None:
    """Check that a tensor has as many numbers as its shape needs, or at ``most`` as many.

    Raises:
        InvalidInput: it has not.
    """
    needed = math.prod(shape)
    if count > needed or (count < needed and not most):
        raise InvalidInput(f"{where}: shape {list(shape)} needs {plural(needed, 'number')}, got {count}")


class Numbers:
    """The elements of a tensor's data: numbers, or rows of equal length; null is NaN where it is allowed."""

    def __init__(self, array: Array, dtype: np.dtype[Any], *, nullable: bool) -> None:
        self.dtype = dtype
        self.nullable = nullable
        self.counted = True
        self.replaces = dtype.kind == "b" and array.checked
        first = array.text.find(b"]", array.start, array.stop)
        self.end = b"" if first < 0 else b"]"
        self.width = 1 if first < 0 else array.text.count(b",", array.start, first) + 1

    def plain(self, piece: bytes) -> NDArray[np.float64] | None:
        """Read numbers, or rows of numbers."""
        if self.replaces:
            piece = piece.replace(b"true", b"1").replace(b"false", b"0")
        found = json_bulk.rows(piece, self.width) if self.end else json_bulk.numbers(piece)
        try:
            return None if found is None else from_numbers(found, self.dtype, "")
        except InvalidInput:
            return None

    def strict(self, element: Any, where: Where) -> list[float]:
        """Read a number, or numbers that are nested in any way."""
        return [
            math.nan if value is None and self.nullable else from_json_value(value, self.dtype, at)
            for value, at in json_strict.nested(element, where)
        ]


def from_json_value(value: Any, dtype: np.dtype[Any], where: Where) -> float:
    """Read one number of a tensor.

    Raises:
        InvalidInput: it is not a number, or does not fit the tensor's type.
    """
    if dtype.kind == "b" and isinstance(value, bool):
        return float(value)
    number = json_strict.number(value, where)
    if dtype.kind == "f":
        return float(_rounded(np.float64(number), dtype))
    limits = _limits(dtype)
    if not (limits[0] <= value <= limits[1] and value == int(value)):
        _refuse(value, dtype, where)
    return number


@cache
def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the least and the greatest number of a type of integers."""
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def _fits(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Return which numbers are integers of a type; its greatest may not be sure to be, as a double."""
    least, greatest = _limits(dtype)
    return (values >= least) & (values < greatest + 1) & (values == np.floor(values))


def _refuse(value: object, dtype: np.dtype[Any], where: Where) -> None:
    name = next(name for name, known in TYPES.items() if known == dtype)
    raise WrongType(f"{place(where)}: expected {name}, got {json_strict.describe(value)}")


def _rounded(values: Any, dtype: np.dtype[Any]) -> Any:
    """Round doubles to a type of floating-point numbers, as they would be in binary."""
    if dtype.itemsize == np.dtype(np.float64).itemsize:
        return values
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(np.float64)


def matrix(tensors: Sequence[Tensor], inputs: Inputs) -> NDArray[np.float64]:
    """Put the tensors together to shape (n, d), the features in the model's order.

    A sole tensor of shape (n, d) may have any name.

    Raises:
        InvalidInput: a tensor that is missing, unknown, repeated or of another shape.
    """
    for i, tensor in enumerate(tensors):
        check_count(tensor.shape, tensor.values.size, f"inputs[{i}]")
    sole = is_whole([(tensor.name, tensor.shape) for tensor in tensors], inputs.width)
    X = _whole(tensors[0], inputs) if sole else _columns(tensors, inputs.names)
    if not len(X):
        raise InvalidInput("inputs[0]: expected at least one row, got none")
    return X


def is_whole(heads: Sequence[tuple[str, tuple[int, ...]]], width: int) -> bool:
    """Return whether tensors, by their names and shapes, are one of all ``width`` features."""
    return len(heads) == 1 and (heads[0][0] == INPUT or heads[0][1][1:] == (width,))


def _whole(tensor: Tensor, inputs: Inputs) -> NDArray[np.float64]:
    width = inputs.width
    if tensor.shape[1:] != (width,) and (width, len(tensor.shape)) != (1, 1):
        raise InvalidInput(f"inputs[0].shape: expected [n, {width}], got {list(tensor.shape)}")
    X = tensor.values.reshape(-1, width)
    if inputs.plain or width == 1:
        return X
    numbers = [
        columns.of_numbers(one, values, partial(_place, one.name))
        for one, values in zip(inputs, X.T, strict=True)
    ]
    return np.stack(numbers, axis=1)


def _place(name: str, row: int) -> str:
    return f"inputs[0][{row}], {name}"


def _columns(tensors: Sequence[Tensor], names: Sequence[str]) -> NDArray[np.float64]:
    order = features.order([tensor.name for tensor in tensors], names, "inputs")
    for i, tensor in enumerate(tensors):
        if tensor.shape[1:] not in ((), (1,)):
            raise InvalidInput(f"inputs[{i}].shape: expected [n] or [n, 1], got {list(tensor.shape)}")
    if len({tensor.values.size for tensor in tensors}) > 1:
        raise InvalidInput("inputs: the features have different numbers of rows")
    return np.stack([tensors[i].values for i in order], axis=1)
