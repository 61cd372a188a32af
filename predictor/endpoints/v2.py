"""The Open Inference Protocol (V2): one path from tensors to predictions, and its form over REST.

JSON and binary tensors, as in KServe's and Triton's binary tensor data extension: the length of the JSON part
is in the header ``Inference-Header-Content-Length``, and the raw tensors follow it in order.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import orjson
from msgspec import Raw, Struct
from numpy.typing import NDArray

from predictor.codecs import json_document, json_output, json_strict, tensors, typed_tensors
from predictor.codecs.cost import require_cheap
from predictor.codecs.json_bulk import Elements
from predictor.codecs.json_document import ABSENT, Document
from predictor.codecs.tensors import Tensor
from predictor.errors import InvalidInput
from predictor.messages import BINARY, JSON, Request, Response
from predictor.model.inputs import Input
from predictor.service.inference import InferenceService
from predictor.wording import plural, shown

_LONGEST_VALUE = 2**16
"""Bytes of a value beside the tensors' data."""

_LENGTH_DIGITS = 20
_MORE_TENSORS = 64
"""Tensors beyond the features, up to which they are read for a message."""
_COST = 128
"""A tensor takes as long as reading so many bytes carefully."""


class _Tensor(Struct):
    name: Raw = ABSENT
    shape: Raw = ABSENT
    datatype: Raw = ABSENT
    parameters: Raw = ABSENT
    data: Raw = ABSENT


class _Request(Struct):
    id: Raw = ABSENT
    parameters: Raw = ABSENT
    inputs: Raw = ABSENT
    outputs: Raw = ABSENT


class _Parameters(Struct):
    binary_data_size: Raw = ABSENT
    binary_data_output: Raw = ABSENT


_PARAMETERS = msgspec.json.Decoder(_Parameters | None)
_TENSORS = msgspec.json.Decoder(list[_Tensor])
_ANY = msgspec.json.Decoder()
_REQUEST = msgspec.json.Decoder(_Request)


def predict(service: InferenceService, request: Request, inputs: Sequence[Tensor]) -> NDArray[np.float64]:
    """Predict the rows that the inputs make; returns shape (n,).

    Raises:
        InvalidInput: the inputs do not fit the model.
        TooLarge: too many rows.
        Unavailable: the model is not loaded.
    """
    model = service.handle.require().model
    return service.predict(request, tensors.matrix(inputs, model.inputs))


def check_outputs(names: Sequence[str]) -> str:
    """Return the name of the output: the requested one, whatever it is, as there is only one.

    Raises:
        InvalidInput: more than one output is requested.
    """
    if len(names) > 1:
        raise InvalidInput(f"outputs: this model has one output, {tensors.OUTPUT}, got {len(names)}")
    return names[0] if names else tensors.OUTPUT


def infer(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v2/models/M/infer``.

    Raises:
        InvalidInput: a malformed request; it says what and where.
        Unavailable: the model is not loaded.
    """
    service.handle.require()
    request.headers.require(JSON, BINARY)
    document, raw = _split(request)
    reader = partial(_InferRequest, service=service, request=request, raw=raw)
    found = json_document.read(document, reader)
    return _write(service, request, found, predict(service, request, found.inputs))


class _InferRequest:
    """What a request holds.

    Attributes:
        inputs: the input tensors.
        id: the client's name for the request, if it has one.
        output: the name of the output.
        binary: whether the output is wanted in binary.
    """

    def __init__(
        self, document: Document, service: InferenceService, request: Request, raw: memoryview
    ) -> None:
        self._document = document
        self._check_rows = service.handle.check_rows
        self._request = request
        self._raw = raw
        self._inputs = service.handle.require().model.inputs
        found = document.members(_REQUEST, '{"inputs": [...]}')
        if found.inputs is ABSENT:
            raise InvalidInput('the key "inputs" is missing')
        items = json_document.objects(_TENSORS, found.inputs, "inputs")
        most = self._inputs.width
        if len(items) > most + _MORE_TENSORS:
            raise InvalidInput(f"inputs: expected at most {plural(most, 'tensor')}, got {len(items)}")
        require_cheap(_COST * len(items), inline=request.inline)
        heads = [_head(item, f"inputs[{i}]") for i, item in enumerate(items)]
        held = typed_tensors.assign(heads, self._inputs)
        self.inputs = [
            self._tensor(item, *head, one, f"inputs[{i}]")
            for i, (item, head, one) in enumerate(zip(items, heads, held, strict=True))
        ]
        if self._raw:
            raise InvalidInput(f"the tensors leave {plural(len(self._raw), 'byte')} of the body")
        self.id = _value(found.id, "id")
        if not isinstance(self.id, str | None):
            raise InvalidInput(f"id: expected a string, got {json_strict.describe(self.id)}")
        wanted = _parameters(found.parameters, "parameters").binary_data_output
        self.binary = _value(wanted, "parameters.binary_data_output") is True
        self.output = self._output(_value(found.outputs, "outputs"))

    def _tensor(
        self, item: _Tensor, name: str, shape: tuple[int, ...], one: Input | None, where: str
    ) -> Tensor:
        """Read a tensor of one input, or of all of them."""
        dtype = tensors.datatype(_value(item.datatype, f"{where}.datatype"), f"{where}.datatype", one)
        check_rows, request = self._check_rows, self._request
        if item.data is not ABSENT:
            array = self._document.array(item.data, f"{where}.data")
            elements: Elements
            if one is None:
                elements = tensors.Numbers(array, dtype, nullable=not self._inputs.plain)
            else:
                elements = typed_tensors.Values(one, dtype, request)
            values = tensors.from_json(array, elements, shape, where, request, check_rows)
            return Tensor(name, shape, values)
        size = _parameters(item.parameters, f"{where}.parameters").binary_data_size
        if size is ABSENT:
            raise InvalidInput(f"{where}: neither data nor parameters.binary_data_size is given")
        content = self._take(size, f"{where}.parameters.binary_data_size")
        if one is not None:
            values = typed_tensors.from_bytes(content, one, dtype, where, request, check_rows)
            return Tensor(name, shape, values)
        check_rows(len(content) // dtype.itemsize // tensors.row_size(shape))
        return Tensor(name, shape, tensors.from_bytes(content, dtype, where))

    def _take(self, value: Raw, where: str) -> memoryview:
        """Return the next bytes after the JSON."""
        size, left = _value(value, where), len(self._raw)
        if type(size) is not int or not 0 <= size <= left:
            most, got = plural(left, "byte"), json_strict.describe(size)
            raise InvalidInput(f"{where}: expected at most the {most} after the JSON, got {got}")
        content, self._raw = self._raw[:size], self._raw[size:]
        return content

    def _output(self, outputs: object) -> str:
        """Return the name of the output; whether it is wanted in binary is its own parameter's choice."""
        if not isinstance(outputs, list | None):
            raise InvalidInput(f"outputs: expected a list, got {json_strict.describe(outputs)}")
        names = []
        for i, output in enumerate(outputs or []):
            name = output.get("name") if isinstance(output, dict) else None
            if not isinstance(name, str):
                raise InvalidInput(f"outputs[{i}]: expected a name, got {json_strict.describe(output)}")
            parameters = output.get("parameters") or {}
            if isinstance(parameters, dict):
                self.binary = parameters.get("binary_data", self.binary) is True
            names.append(name)
        return check_outputs(names)


def _split(request: Request) -> tuple[bytes | bytearray, memoryview]:
    """Split a body into its JSON and the raw tensors after that."""
    body, given = request.body, request.headers.json_length
    if given is None:
        if request.headers.media == BINARY:
            raise InvalidInput("binary tensors need the header Inference-Header-Content-Length")
        return body, memoryview(b"")
    length = int(given) if given.isdigit() and len(given) < _LENGTH_DIGITS else -1
    if not 0 <= length <= len(body):
        wrong = f"{shown(given.decode('latin-1'))} is not a length within {plural(len(body), 'byte')}"
        raise InvalidInput(f"Inference-Header-Content-Length: {wrong}")
    return body[:length], memoryview(body)[length:]


def _head(item: _Tensor, where: str) -> tuple[str, tuple[int, ...]]:
    """Return the name and the shape of a tensor."""
    name = _value(item.name, f"{where}.name")
    if not isinstance(name, str):
        raise InvalidInput(f"{where}.name: expected a string, got {json_strict.describe(name)}")
    return name, tensors.shape(_value(item.shape, f"{where}.shape"), f"{where}.shape")


def _parameters(value: Raw, where: str) -> _Parameters:
    if value is ABSENT:
        return _Parameters()
    try:
        return json_document.decode(_PARAMETERS, value) or _Parameters()
    except msgspec.ValidationError:
        found = json_document.describe(bytes(value))
        raise InvalidInput(f"{where}: expected an object, got {found}") from None


def _value(value: Raw, where: str) -> Any:
    """Return a short value beside the tensors' data; None if it was not sent."""
    if value is ABSENT:
        return None
    text = bytes(value)
    if len(text) > _LONGEST_VALUE:
        raise InvalidInput(f"{where}: longer than {_LONGEST_VALUE} bytes")
    try:
        return _ANY.decode(value)
    except (msgspec.ValidationError, RecursionError):  # such as a number that no double can hold
        return json_strict.parse(text)


def _write(
    service: InferenceService, request: Request, asked: _InferRequest, values: NDArray[np.float64]
) -> Response:
    handle = service.handle
    answer: dict[str, Any] = {"model_name": handle.name}
    if handle.version is not None:
        answer["model_version"] = handle.version
    if asked.id is not None:
        answer["id"] = asked.id
        request.identify(asked.id)
    output: dict[str, Any] = {"name": asked.output, "shape": [len(values)], "datatype": "FP64"}
    answer["outputs"] = [output]
    if not asked.binary:
        body = json_output.array(values, orjson.dumps(answer)[:-3] + b',"data":[', b"]}]}")
        return Response(body, rows=len(values))
    content = np.asarray(values, dtype="<f8").tobytes()
    output["parameters"] = {"binary_data_size": len(content)}
    head = orjson.dumps(answer)
    fields = ((b"inference-header-content-length", b"%d" % len(head)),)
    return Response(head + content, content_type=BINARY, headers=fields, rows=len(values))
