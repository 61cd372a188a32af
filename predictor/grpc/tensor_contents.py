"""The numbers of the typed tensors of an inference request."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from predictor.codecs import tensors, typed_tensors
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput
from predictor.grpc.wire import TEXT_TAG, TEXTS, Runs, header
from predictor.messages import Request
from predictor.model.inputs import Input

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
    tensors.BYTES: TEXTS,
}
"""The field of ``InferTensorContents`` with the values of a datatype; FP16 has none."""

_FIXED = {6: "<f4", 7: "<f8"}
_INTEGERS = {1: "<u1", 2: "<i4", 3: "<i8", 4: "<u4", 5: "<u8"}
_NAMES = {field.number: field.name for field in pb.InferTensorContents.DESCRIPTOR.fields}
_PIECE = 2**16
"""Bytes of varints that are decoded at once: the decoder holds the interpreter's lock for 2 ms."""
_LONGEST_VARINT = 10
_VARINT_BITS = 70


def numbers(
    item: pb.ModelInferRequest.InferInputTensor,
    runs: Runs,
    one: Input | None,
    where: str,
    request: Request,
    check: Callable[[int], None],
) -> NDArray[np.float64]:
    """Return the numbers of a typed tensor, of shape (n,).

    Args:
        item: the tensor, with the values that the generated parser has read.
        runs: those that it has not.
        one: the input that it holds; None if it holds all of them.
        where: the tensor's place, for messages.
        request: the request, for its deadline.
        check: is called with n before that many are decoded.

    Raises:
        InvalidInput: malformed values, values in the field of another type, or that do not fit the type.
        TooCostly: so many integers or texts would take too long on the event loop.
    """
    dtype = tensors.datatype(item.datatype, f"{where}.datatype", one)
    where = f"{where}.contents"
    expected = _field(item, runs, where)
    if one is None:
        return _numbers(item, runs, expected, dtype, where, request, check)
    if expected == TEXTS:
        content, places = _texts(item, runs, request)
        return typed_tensors.from_texts(content, places, one, where, request, check)
    return typed_tensors.numbers(_numbers(item, runs, expected, dtype, where, request, check), one, where)


def _field(item: pb.ModelInferRequest.InferInputTensor, runs: Runs, where: str) -> int:
    """Return the number of the field that holds the values of a tensor, according to its datatype."""
    expected = _FIELDS.get(item.datatype)
    for number in [field.number for field, _ in item.contents.ListFields()] + list(runs):
        if number != expected:
            use = _NAMES[expected] if expected else "raw_input_contents"
            raise InvalidInput(f"{where}: {item.datatype} needs {use}, got {_NAMES[number]}")
    if expected is None:
        raise InvalidInput(f"{where}: {item.datatype} needs raw_input_contents")
    return expected


def _numbers(
    item: pb.ModelInferRequest.InferInputTensor,
    runs: Runs,
    expected: int,
    dtype: np.dtype[Any],
    where: str,
    request: Request,
    check: Callable[[int], None],
) -> NDArray[np.float64]:
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


def _texts(
    item: pb.ModelInferRequest.InferInputTensor, runs: Runs, request: Request
) -> tuple[memoryview, Iterable[tuple[int, int]]]:
    """Return bytes, and where in them each text begins and how long it is."""
    if not runs:
        texts = list(item.contents.bytes_contents)
        lengths = list(map(len, texts))
        return memoryview(b"".join(texts)), zip(accumulate(lengths, initial=0), lengths, strict=False)
    content = runs[TEXTS][0] if len(runs[TEXTS]) == 1 else memoryview(b"".join(runs[TEXTS]))
    require_cheap(len(content), inline=request.inline)
    return content, _text_fields(content)


def _text_fields(content: memoryview) -> Iterator[tuple[int, int]]:
    position, end = 0, len(content)
    while position < end:
        if content[position] != TEXT_TAG:
            raise InvalidInput("malformed message: bytes_contents together with other values")
        start, length, shift, byte = position + 1, 0, 0, 128
        while byte > 127 and start < end and shift < _VARINT_BITS:
            byte, start = content[start], start + 1
            length |= (byte & 127) << shift
            shift += 7
        position = start + length
        if byte > 127 or position > end:
            raise InvalidInput("malformed message")
        yield start, length


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
