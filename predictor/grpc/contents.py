"""The numbers of the typed tensors of an inference request."""

from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput
from predictor.grpc.wire import Runs, field_of
from predictor.messages import Request

_FIELDS = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 2,
    "INT32": 2,
    "INT64": 3,
    "UINT8": 4,
    "UINT16": 4,
    "UINT32": 4,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
}
"""The field of ``InferTensorContents`` with the numbers of a datatype; FP16 has none."""

_DTYPES = {1: "<u1", 2: "<i4", 3: "<i8", 4: "<u4", 5: "<u8", 6: "<f4", 7: "<f8"}
_NAMES = {field.number: field.name for field in pb.InferTensorContents.DESCRIPTOR.fields}
_PIECE = 2**16
"""Bytes of varints that are decoded at once: the decoder holds the interpreter's lock for 2 ms."""
_LONGEST_VARINT = 10


def numbers(
    contents: pb.InferTensorContents, runs: Runs, datatype: str, where: str, request: Request
) -> NDArray[Any]:
    """Return the numbers of a typed tensor, of shape (n,), in the type of their field.

    Args:
        contents: the numbers that the generated parser has read.
        runs: those that it has not.
        datatype: the tensor's type.
        where: the tensor's place, for messages.
        request: the request, for its deadline.

    Raises:
        InvalidInput: malformed numbers, or numbers in the field of another type.
        TooCostly: so many integers would take too long on the event loop.
    """
    expected = _FIELDS.get(datatype)
    for number in [field.number for field, _ in contents.ListFields()] + list(runs):
        if number != expected:
            use = _NAMES[expected] if expected else "raw_input_contents"
            raise InvalidInput(f"{where}.contents: {datatype} needs {use}, got {_NAMES[number]}")
    if expected is None:
        raise InvalidInput(f"{where}: {datatype} needs raw_input_contents")
    dtype = np.dtype(_DTYPES[expected])
    if not runs:
        return np.array(getattr(contents, _NAMES[expected]), dtype=dtype)
    parts = [
        _fixed(run, dtype) if dtype.kind == "f" else _varints(run, expected, dtype, request)
        for run in runs[expected]
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _fixed(run: memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(run) % dtype.itemsize:
        raise InvalidInput("malformed message")
    return np.frombuffer(run, dtype)


def _varints(run: memoryview, number: int, dtype: np.dtype[Any], request: Request) -> NDArray[Any]:
    """Decode integers of variable length, in pieces that end where an integer ends."""
    require_cheap(len(run), inline=request.inline)
    found = np.empty(np.count_nonzero(np.frombuffer(run, np.int8) >= 0), dtype)
    done = start = 0
    while start < len(run):
        request.checkpoint()
        stop = min(start + _PIECE, len(run))
        while stop < len(run) and run[stop - 1] > 127 and stop < start + _PIECE + _LONGEST_VARINT:
            stop += 1
        piece = parse(pb.InferTensorContents, field_of(number, bytes(run[start:stop])))
        values = getattr(piece, _NAMES[number])
        found[done : done + len(values)] = np.fromiter(values, dtype, len(values))
        done, start = done + len(values), stop
    return found


def parse(kind: Any, message: bytes | bytearray) -> Any:
    """Parse a message.

    Raises:
        InvalidInput: it is malformed.
    """
    try:
        return kind.FromString(bytes(message))
    except DecodeError as error:
        raise InvalidInput("malformed message") from error
