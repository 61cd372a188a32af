"""ModelInfer: reads a message into tensors, and writes the predictions as a message."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from predictor.codecs import tensors, typed_tensors
from predictor.codecs.cost import INLINE_BYTES, require_cheap
from predictor.codecs.tensors import Tensor
from predictor.endpoints import v2
from predictor.endpoints.routing import check_model
from predictor.errors import InvalidInput
from predictor.grpc import tensor_contents
from predictor.grpc.wire import Message, Runs, header
from predictor.messages import Request, Response
from predictor.model.inputs import Input
from predictor.service.inference import InferenceService

Raw = Sequence[bytes | memoryview]

_CONTENTS = _OUTPUTS = 5
_RAW_OUTPUTS = 6
_FP64_CONTENTS = 7
"""Numbers of fields in a response."""
_DOUBLE = 8
_LONGEST_REST = 2**18
_COST = 4
"""A byte of small fields costs as much as that many bytes of JSON."""


def infer(service: InferenceService, request: Request) -> Response:
    """Answer ModelInfer.

    Raises:
        InvalidInput: a malformed request; it says what and where.
        NotFound: another model or version.
        Unavailable: the model is not loaded.
        TooCostly: reading would take too long on the event loop.
    """
    message, runs, raw = _read(request)
    check_model(service, message.model_name, message.model_version)
    outputs = message.outputs
    name = v2.check_outputs([output.name for output in outputs]) if outputs else tensors.OUTPUT
    read = _read_tensors(service, request, message, runs, raw)
    content = np.asarray(v2.predict(service, request, read), "<f8").data.cast("B")
    request.identify(message.id)
    # With feedback, the client needs the id that the rows are recorded under.
    given = request.id if service.recorder else message.id
    return _write(service, given, name, content, raw=bool(raw))


def _read(request: Request) -> tuple[pb.ModelInferRequest, Sequence[Runs], Raw]:
    """Parse a message, without its numbers if it is long; they and the raw tensors are returned beside it."""
    if len(request.body) <= INLINE_BYTES:
        message = tensor_contents.parse(pb.ModelInferRequest, request.body)
        return message, (), message.raw_input_contents

    def check(others: int) -> None:
        require_cheap(_COST * others, inline=request.inline)
        if others > _LONGEST_REST:
            raise InvalidInput(f"more than {_LONGEST_REST} bytes beside the tensors' numbers")

    parts = Message(bytes(request.body), check)
    return tensor_contents.parse(pb.ModelInferRequest, parts.rest), parts.runs, parts.raw


def _read_tensors(
    service: InferenceService,
    request: Request,
    message: pb.ModelInferRequest,
    runs: Sequence[Runs],
    raw: Raw,
) -> list[Tensor]:
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput(f"raw_input_contents: expected {len(message.inputs)} tensors, got {len(raw)}")
    # Three sizes are enough to refuse: a hostile shape can have millions.
    heads = [
        (item.name, tensors.shape(list(item.shape[:3]), f"inputs[{i}].shape"))
        for i, item in enumerate(message.inputs)
    ]
    held = typed_tensors.assign(heads, service.handle.require().model.inputs)
    found = []
    for i, (item, head, one) in enumerate(zip(message.inputs, heads, held, strict=True)):
        its_runs, its_raw = runs[i] if runs else {}, raw[i] if raw else None
        values = _values(service, request, item, its_runs, its_raw, one, f"inputs[{i}]")
        found.append(Tensor(*head, values))
    return found


def _values(
    service: InferenceService,
    request: Request,
    item: pb.ModelInferRequest.InferInputTensor,
    runs: Runs,
    raw: bytes | memoryview | None,
    one: Input | None,
    where: str,
) -> NDArray[np.float64]:
    """Read the values of a tensor of one input, or of all of them."""
    width = 1 if one else service.handle.require().model.width

    def check_rows(count: int) -> None:
        service.handle.check_rows(count // width)

    if raw is None:
        return tensor_contents.numbers(item, runs, one, where, request, check_rows)
    if runs or item.contents.ListFields():  # empty contents come from MLServer's client
        raise InvalidInput(f"{where}.contents: not allowed together with raw_input_contents")
    dtype = tensors.datatype(item.datatype, f"{where}.datatype", one)
    if one is None:
        return tensors.from_bytes(raw, dtype, where)
    return typed_tensors.from_bytes(memoryview(raw), one, dtype, where, request, check_rows)


def _write(
    service: InferenceService, identity: str, name: str, content: bytes | memoryview, *, raw: bool
) -> Response:
    """Write predictions, given as little-endian doubles; raw if the request's tensors were.

    They are put into the message as bytes. The generated classes would take 4 ms for 100,000 numbers, and
    copy them several times.
    """
    rows, handle = len(content) // _DOUBLE, service.handle
    parts = [_before_numbers(handle.name, handle.version or "", name, rows, raw), content]
    if identity:  # fields may come in any order
        parts.append(pb.ModelInferResponse(id=identity).SerializeToString())
    return Response(b"".join(parts), rows=rows)


@lru_cache(16)  # a name can be long
def _before_numbers(model: str, version: str, name: str, rows: int, raw: bool) -> bytes:  # noqa: FBT001  cached calls are quicker so
    """Return the part of a response that precedes the numbers."""
    response = pb.ModelInferResponse(model_name=model, model_version=version)
    output = pb.ModelInferResponse.InferOutputTensor(name=name, datatype="FP64", shape=(rows,))
    size = rows * _DOUBLE
    if raw:
        response.outputs.append(output)
        return response.SerializeToString() + header(_RAW_OUTPUTS, size)
    numbers = header(_FP64_CONTENTS, size)
    tensor = output.SerializeToString() + header(_CONTENTS, len(numbers) + size) + numbers
    return response.SerializeToString() + header(_OUTPUTS, len(tensor) + size) + tensor
