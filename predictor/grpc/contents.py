"""The numbers of the typed tensors of an inference request."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from predictor.codecs import tensors
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput
from predictor.grpc.wire import Runs, header
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

_FIXED = {6: "<f4", 7: "<f8"}
_INTEGERS = {1: "<u1", 2: "<i4", 3: "<i8", 4: "<u4", 5: "<u8"}
_NAMES = {field.number: field.name for field in pb.InferTensorContents.DESCRIPTOR.fields}
_PIECE = 2**16
"""Bytes of varints that are decoded at once: the decoder holds the interpreter's lock for 2 ms."""
_LONGEST_VARINT = 10


def numbers(
    item: pb.ModelInferRequest.InferInputTensor,
    runs: Runs,
    where: str,
    request: Request,
    check: Callable[[int], None],
) -> NDArray[np.float64]:
    """Return the numbers of a typed tensor, of shape (n,).

    Args:
        item: the tensor, with the numbers that the generated parser has read.
        runs: those that it has not.
        where: the tensor's place, for messages.
        request: the request, for its deadline.
        check: is called with n before that many are decoded.

    Raises:
        InvalidInput: malformed numbers, numbers in the field of another type, or that do not fit the type.
        TooCostly: so many integers would take too long on the event loop.
    """
    dtype = tensors.datatype(item.datatype, f"{where}.datatype")
    where = f"{where}.contents"
    expected = _FIELDS.get(item.datatype)
    for number in [field.number for field, _ in item.contents.ListFields()] + list(runs):
        if number != expected:
            use = _NAMES[expected] if expected else "raw_input_contents"
            raise InvalidInput(f"{where}: {item.datatype} needs {use}, got {_NAMES[number]}")
    if expected is None:
        raise InvalidInput(f"{where}: {item.datatype} needs raw_input_contents")
    if not runs:
        return tensors.from_numbers(_parsed(item.contents, expected), dtype, where)
    if expected in _FIXED:
        parts = [tensors.from_numbers(_fixed(run, expected), dtype, where) for run in runs[expected]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    count = sum(int(np.count_nonzero(np.frombuffer(run, np.int8) >= 0)) for run in runs[expected])
    check(count)
    found, done = np.empty(count), 0
    for run in runs[expected]:
        for piece in _varints(run, expected, request):
            found[done : done + len(piece)] = tensors.from_numbers(piece, dtype, where, done)
            done += len(piece)
    return found


def _parsed(contents: pb.InferTensorContents, number: int) -> NDArray[Any]:
    values = getattr(contents, _NAMES[number])
    return np.fromiter(values, _FIXED.get(number) or _INTEGERS[number], len(values))


def _fixed(run: memoryview, number: int) -> NDArray[np.float64]:
    dtype = np.dtype(_FIXED[number])
    if len(run) % dtype.itemsize:
        raise InvalidInput("malformed message")
    return np.frombuffer(run, dtype)


def _varints(run: memoryview, number: int, request: Request) -> Iterator[NDArray[Any]]:
    """Decode integers of variable length, in pieces that end where an integer ends."""
    require_cheap(len(run), inline=request.inline)
    start = 0
    while start < len(run):
        request.checkpoint()
        stop = start + _PIECE
        while bytes(run[stop - 1 : stop]) > b"\x7f" and stop < start + _PIECE + _LONGEST_VARINT:
            stop += 1
        piece = parse(pb.InferTensorContents, header(number, len(run[start:stop])) + run[start:stop])
        yield _parsed(piece, number)
        start = stop


def parse(kind: Any, message: bytes | bytearray) -> Any:
    """Parse a message.

    Raises:
        InvalidInput: it is malformed.
    """
    try:
        return kind.FromString(bytes(message))
    except DecodeError as error:
        raise InvalidInput("malformed message") from error
