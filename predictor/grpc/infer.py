"""ModelInfer: reads a message into tensors, and writes the predictions as a message."""

from collections.abc import Sequence

import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from predictor.codecs import tensors
from predictor.codecs.cost import INLINE_BYTES, require_cheap
from predictor.codecs.tensors import Tensor
from predictor.endpoints.routing import check_model
from predictor.errors import InvalidInput
from predictor.grpc import contents
from predictor.grpc.wire import Message, Runs, field_of
from predictor.messages import Request, Response
from predictor.service.inference import InferenceService

_FP64_CONTENTS = 7
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
    rest, runs, raw = _take_apart(request)
    message = contents.parse(pb.ModelInferRequest, rest)
    check_model(service, message.model_name, message.model_version)
    for i, wanted in enumerate(message.outputs):
        if wanted.name != tensors.OUTPUT:
            raise InvalidInput(f"outputs[{i}]: expected the name {tensors.OUTPUT}, got {wanted.name[:40]!r}")
    raw = raw or message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput(f"raw_input_contents: expected {len(message.inputs)} tensors, got {len(raw)}")
    read = [
        _tensor(item, runs[i] if runs else {}, raw[i] if raw else None, f"inputs[{i}]", request)
        for i, item in enumerate(message.inputs)
    ]
    scorer = service.handle.require().scorer
    values = service.predict(request, tensors.matrix(read, scorer.names))
    return _write(service, request, message.id, values, raw=bool(raw))


def _take_apart(request: Request) -> tuple[bytes, Sequence[Runs], Sequence[memoryview | bytes]]:
    """Take the numbers out of a long message; the generated parser reads short ones as a whole."""
    body = bytes(request.body)
    if len(body) <= INLINE_BYTES:
        return body, [], []

    def check(others: int) -> None:
        require_cheap(_COST * others, inline=request.inline)
        if others > _LONGEST_REST:
            raise InvalidInput(f"more than {_LONGEST_REST} bytes beside the tensors' numbers")

    return Message.of(body, check)


def _tensor(
    item: pb.ModelInferRequest.InferInputTensor,
    runs: Runs,
    raw: memoryview | bytes | None,
    where: str,
    request: Request,
) -> Tensor:
    shape = tensors.shape(list(item.shape[:3]), f"{where}.shape")
    dtype = tensors.datatype(item.datatype, f"{where}.datatype")
    if raw is None:
        found = contents.numbers(item.contents, runs, item.datatype, where, request)
        return Tensor(item.name, shape, found.astype(np.float64, copy=False))
    if item.HasField("contents"):
        raise InvalidInput(f"{where}.contents: not both these and raw_input_contents")
    return Tensor(item.name, shape, tensors.from_bytes(raw, dtype, where))


def _write(
    service: InferenceService, request: Request, given: str, values: NDArray[np.float64], *, raw: bool
) -> Response:
    """Write a response, with raw numbers if the request had those."""
    response = pb.ModelInferResponse(
        model_name=service.handle.name,
        model_version=service.handle.version or "",
        # With feedback the client needs the id that the rows are recorded under.
        id=request.identify(given) if service.recorder else given,
    )
    output = response.outputs.add(name=tensors.OUTPUT, datatype="FP64", shape=[len(values)])
    content = np.asarray(values, "<f8").tobytes()
    if raw:
        response.raw_output_contents.append(content)
    else:  # by its bytes: to extend the field by 100,000 numbers takes 4 ms
        output.contents.MergeFromString(field_of(_FP64_CONTENTS, content))
    return Response(response.SerializeToString(), rows=len(values))
