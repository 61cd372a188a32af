"""The costly forms of a message for gRPC's ModelInfer.

Fields are numbered as in https://github.com/kserve/open-inference-protocol, encoded as in
https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.support.server import NAME
from tests.support.worst.form import GRPC, ROWS, Form, Make, fill

_INPUTS, _OUTPUTS, _RAW, _CONTENTS, _ID, _PARAMETERS, _SHAPE = 5, 6, 7, 5, 3, 4, 3
_NAME = pb.ModelInferRequest(model_name=NAME).SerializeToString()
_MOST_OF_A_HEAD = 128


def forms() -> Iterator[Form]:
    """Yield all of them."""
    for name, make in {
        "typed FP64": _typed("FP64", 7, b"\0" * 8),
        "typed FP32": _typed("FP32", 6, b"\0" * 4),
        "typed INT8": _typed("INT8", 2, b"\1"),
        "typed UINT64": _typed("UINT64", 5, b"\1"),
        "typed INT64 of ten bytes": _typed("INT64", 3, b"\xff" * 9 + b"\1"),
        "typed BOOL": _typed("BOOL", 1, b"\1"),
        "typed INT8, 300 at the end": _typed("INT8", 2, b"\1", b"\xac\2"),
        "typed FP64, not packed": _typed("FP64", 7, b"\x39" + b"\0" * 8, packed=False),
        "typed INT8, not packed": _typed("INT8", 2, b"\x10\1", packed=False),
        "typed INT8, packed one by one": _typed("INT8", 2, b"\x12\1\1", packed=False),
        "raw UINT8": _raw("UINT8", 1),
        "raw FP16": _raw("FP16", 2),
        "raw FP64": _raw("FP64", 8),
        "very many inputs": fill(_NAME, _field(_INPUTS)),
        "very many outputs": fill(_NAME, _field(_OUTPUTS)),
        "very many raw tensors": fill(_NAME, _field(_RAW)),
        "very many parameters": fill(_NAME, _field(_PARAMETERS)),
        "a shape of very many sizes": _shape,
        "a long id": lambda size: _NAME + _field(_ID, b"a" * max(1, size - len(_NAME) - 6)),
        "very many ids": fill(_NAME, _field(_ID)),
        "unknown fields": fill(_NAME, b"\xf8\x01\0"),
        "malformed at the end": fill(_NAME, _field(_OUTPUTS), b"\x32"),
    }.items():
        yield Form(f"gRPC, {name}", GRPC, make)


def _field(number: int, content: bytes = b"") -> bytes:
    """Encode a field of bytes, a message or packed numbers."""
    length, encoded = len(content), bytearray([number << 3 | 2])
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    return bytes(encoded) + bytes([length]) + content


def _tensor(datatype: str, count: int, content: bytes = b"") -> bytes:
    tensor = pb.ModelInferRequest.InferInputTensor(name="instances", datatype=datatype, shape=[count, 1])
    return _field(_INPUTS, tensor.SerializeToString() + content)


def _typed(datatype: str, number: int, unit: bytes, last: bytes = b"", *, packed: bool = True) -> Make:
    """Return what makes messages with as many numbers in the field as fit; ``last`` is one more."""

    def make(size: int) -> bytes:
        count = min(ROWS - 1, max(1, (size - _MOST_OF_A_HEAD) // len(unit)))
        numbers = unit * count + last
        contents = _field(number, numbers) if packed else numbers
        return _NAME + _tensor(datatype, count + bool(last), _field(_CONTENTS, contents))

    return make


def _raw(datatype: str, itemsize: int) -> Make:
    def make(size: int) -> bytes:
        count = min(ROWS, max(1, (size - _MOST_OF_A_HEAD) // itemsize))
        return _NAME + _tensor(datatype, count) + _field(_RAW, b"\1" * (count * itemsize))

    return make


def _shape(size: int) -> bytes:
    sizes = _field(_SHAPE, b"\1" * max(1, size - _MOST_OF_A_HEAD))
    return _NAME + _field(_INPUTS, sizes)
