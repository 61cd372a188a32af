"""The Open Inference Protocol (V2) over REST: an inference request in, its answer out.

JSON and binary tensors, as in KServe's and Triton's binary tensor data extension: the length of the JSON part
stands in the header ``Inference-Header-Content-Length``, and the raw tensors follow it in order.
"""

import re
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import json_bulk, json_strict, tensors
from predictor.codecs.tensors import Tensor
from predictor.errors import InvalidInput
from predictor.messages import BINARY, JSON, Request, RequestHeaders, Response
from predictor.model.handle import ModelHandle
from predictor.service.inference import InferenceService

_COMMAS = 16
_SPACE = rb"[ \t\r\n]*"
_DATA = re.compile(rb'"data"%b:%b\[%b(\[?)' % (_SPACE, _SPACE, _SPACE))
_FLAT_END = re.compile(rb"\]")
_NESTED_END = re.compile(rb"\]%b\]" % _SPACE)


def infer(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v2/models/M/infer``.

    Raises:
        InvalidInput: a malformed request; it says what and where.
        Unavailable: the model is not loaded.
    """
    handle = service.handle
    scorer = handle.require().scorer
    request.headers.require(JSON, BINARY)
    document, lifted, raw = _read(handle, request.headers, request.body, scorer.width)
    inputs = json_strict.member(document, "inputs", others=True)
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInput(f"inputs: expected a list of tensors, got {json_strict.describe(inputs)}")
    read = _Inputs(lifted, raw, handle)
    X = tensors.matrix([read.tensor(item, f"inputs[{i}]") for i, item in enumerate(inputs)], scorer.names)
    read.finish()
    return _write(handle, request, document, service.predict(request, X))


class _Inputs:
    """Reads the input tensors of one request in order, and with them what stands outside of its JSON."""

    def __init__(self, lifted: list[NDArray[np.float64]], raw: memoryview, handle: ModelHandle) -> None:
        self.handle = handle
        self.lifted = iter(lifted)
        self.raw = raw

    def tensor(self, item: object, where: str) -> Tensor:
        if not isinstance(item, dict):
            raise InvalidInput(f"{where}: expected a tensor, got {json_strict.describe(item)}")
        name = item.get("name")
        if not isinstance(name, str):
            raise InvalidInput(f"{where}.name: expected a string, got {json_strict.describe(name)}")
        shape = tensors.shape(item.get("shape"), f"{where}.shape")
        dtype = tensors.datatype(item.get("datatype"), f"{where}.datatype")
        size = _parameters(item, where).get("binary_data_size")
        columns = self.handle.require().scorer.width if name == tensors.INPUT else 1
        if size is not None and "data" not in item:
            content = self._take(size, where)
            self.handle.check_rows(len(content) // dtype.itemsize // columns)
            return Tensor(name, shape, tensors.from_bytes(content, dtype, where))
        values = self._data(item, dtype, where)
        self.handle.check_rows(len(values) // columns)
        return Tensor(name, shape, values)

    def finish(self) -> None:
        if len(self.raw):
            raise InvalidInput(f"the body holds {len(self.raw)} bytes more than the tensors need")

    def _data(self, item: dict[str, Any], dtype: np.dtype[Any], where: str) -> NDArray[np.float64]:
        if "data" not in item:
            raise InvalidInput(f"{where}: neither data nor parameters.binary_data_size is given")
        data = item["data"]
        if not isinstance(data, list):
            raise InvalidInput(f"{where}.data: expected a list of numbers, got {json_strict.describe(data)}")
        values = next(self.lifted, None) if not data else None
        if values is None:
            values = np.array(_flat(data, f"{where}.data"), dtype=np.float64)
        return values.astype(dtype).astype(np.float64) if dtype.kind == "f" and dtype.itemsize < 8 else values

    def _take(self, size: object, where: str) -> memoryview:
        if type(size) is not int or not 0 <= size <= len(self.raw):
            raise InvalidInput(
                f"{where}.parameters.binary_data_size: {json_strict.describe(size)},"
                f" and {len(self.raw)} bytes are left after the JSON"
            )
        content, self.raw = self.raw[:size], self.raw[size:]
        return content


def _read(
    handle: ModelHandle, head: RequestHeaders, body: bytes | bytearray, width: int
) -> tuple[Any, list[NDArray[np.float64]], memoryview]:
    """Split a body into its JSON document, long arrays lifted out of that, and the raw tensors after it."""
    view = memoryview(body)
    if head.json_length is None:
        if head.media == BINARY:
            raise InvalidInput("binary tensors need the header Inference-Header-Content-Length")
        document, raw = body, view[len(body) :]
    else:
        try:
            length = int(head.json_length)
        except ValueError:
            length = -1
        if not 0 <= length <= len(body):
            shown = json_strict.shown(head.json_length.decode("latin-1"))
            raise InvalidInput(
                f"Inference-Header-Content-Length: {shown} is no length within {len(body)} bytes"
            )
        document, raw = body[:length], view[length:]
    if len(document) > handle.max_rows:
        # Before it is parsed, and so by what is sure to be too much: a tensor has commas beside its data too.
        handle.check_rows((json_bulk.commas(document) - _COMMAS * (width + 1)) // width)
    if len(document) > json_bulk.PIECE:
        short, lifted = _lift(document, width)
        if len(short) > json_bulk.PIECE:
            raise InvalidInput(f"more than {json_bulk.PIECE} bytes of JSON beside the tensors' data")
        return json_strict.document(short), lifted, raw
    return json_bulk.document(document), [], raw


def _lift(document: bytes | bytearray, width: int) -> tuple[bytes, list[NDArray[np.float64]]]:
    """Take the tensors' data out of a long document, as arrays, and leave empty lists in their places."""
    kept: list[bytes | bytearray] = []
    lifted: list[NDArray[np.float64]] = []
    position = 0
    while begin := _DATA.search(document, position):
        start = begin.start(1)
        nested = bool(begin.group(1))
        end = (_NESTED_END if nested else _FLAT_END).search(document, start)
        stop = end.end() - 1 if end else len(document)
        where = f"inputs[{len(lifted)}].data"
        lifted.append(json_bulk.rows(document, start, stop, width if nested else 1, where).reshape(-1))
        kept.append(document[position:start])
        position = stop
    kept.append(document[position:])
    return b"".join(kept), lifted


def _flat(data: list[Any], where: str) -> list[float]:
    """Numbers, or rows of numbers of one length, in row-major order."""
    if not data or not isinstance(data[0], list):
        return [json_strict.number(item, f"{where}[{i}]") for i, item in enumerate(data)]
    width = len(data[0])
    return [number for i, item in enumerate(data) for number in json_strict.row(item, width, f"{where}[{i}]")]


def _parameters(item: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = item.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput(f"{where}.parameters: expected an object, got {json_strict.describe(parameters)}")
    return parameters


def _write(
    handle: ModelHandle, request: Request, document: dict[str, Any], values: NDArray[np.float64]
) -> Response:
    answer: dict[str, Any] = {"model_name": handle.name}
    if handle.version is not None:
        answer["model_version"] = handle.version
    if (identity := document.get("id")) is not None:
        if not isinstance(identity, str):
            raise InvalidInput(f"id: expected a string, got {json_strict.describe(identity)}")
        answer["id"] = identity
        request.identify(identity)
    output: dict[str, Any] = {"name": tensors.OUTPUT, "shape": [len(values)], "datatype": "FP64"}
    answer["outputs"] = [output]
    if not _wants_binary(document):
        return Response(
            orjson.dumps(answer)[:-3] + b',"data":%b}]}' % json_bulk.array(values), rows=len(values)
        )
    content = np.asarray(values, dtype="<f8").tobytes()
    output["parameters"] = {"binary_data_size": len(content)}
    head = orjson.dumps(answer)
    length = str(len(head)).encode()
    return Response(
        head + content,
        content_type=BINARY,
        headers=((b"inference-header-content-length", length),),
        rows=len(values),
    )


def _wants_binary(request: dict[str, Any]) -> bool:
    """Whether the output is asked for in binary: by the output's own parameter, else by the request's."""
    whole = _parameters(request, "request").get("binary_data_output", False) is True
    outputs = request.get("outputs") or []
    if not isinstance(outputs, list):
        raise InvalidInput(f"outputs: expected a list, got {json_strict.describe(outputs)}")
    for i, output in enumerate(outputs):
        where = f"outputs[{i}]"
        if not isinstance(output, dict) or output.get("name") != tensors.OUTPUT:
            raise InvalidInput(
                f"{where}: expected the name {tensors.OUTPUT}, got {json_strict.describe(output)}"
            )
        whole = _parameters(output, where).get("binary_data", whole) is True
    return whole
