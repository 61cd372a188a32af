"""The bodies of prediction requests in every protocol, and the predictions in those of their responses."""

import gzip
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.support.server import NAME

Headers = dict[str, str]
Written = tuple[bytes, Headers]
"""A body, and the header fields that belong to it."""


class Wanted(NamedTuple):
    """What a client asks for.

    Attributes:
        rows: the values of the features.
        key: the credential.
        id: the client's name for the request, where the protocol has it.
        header_id: the client's name for the request in ``X-Request-Id``.
        traceparent: the client's part of a trace.
        model, version, outputs: what the request names, where its protocol can.
        size: bytes of the body at least.
    """

    rows: Sequence[Sequence[float]] = ((0.5,),)
    key: str = ""
    id: str = ""
    header_id: str = ""
    traceparent: str = ""
    model: str = NAME
    version: str = ""
    outputs: Sequence[str] = ()
    size: int = 0


def instance(wanted: Wanted) -> Written:
    """Write one row for ``/stream``."""
    return _padded({"instance": wanted.rows[0]}, wanted), _named(wanted)


def instances(wanted: Wanted) -> Written:
    """Write rows for ``/batch`` and V1."""
    return _padded({"instances": wanted.rows}, wanted), _named(wanted)


def row_in_path(wanted: Wanted) -> Written:
    """Write one row for ``GET /stream/...``."""
    return quote(json.dumps(wanted.rows[0])).encode(), _named(wanted)


def rows_in_path(wanted: Wanted) -> Written:
    """Write rows for ``GET /batch/...``."""
    return quote(json.dumps(wanted.rows)).encode(), _named(wanted)


def records(wanted: Wanted) -> Written:
    """Write a record for each row."""
    lines = (json.dumps({"instance": row}) for row in wanted.rows)
    return "\n".join(lines).encode(), _named(wanted) | {"content-type": "application/x-ndjson"}


def infer(wanted: Wanted) -> Written:
    """Write a V2 request; it has a place for its own name."""
    return _padded(_infer(wanted, {"data": _numbers(wanted)}), wanted), {}


def infer_binary(wanted: Wanted) -> Written:
    """Write a V2 request with a binary tensor."""
    content = np.array(wanted.rows, "<f8").tobytes()
    document = _padded(_infer(wanted, {"parameters": {"binary_data_size": len(content)}}), wanted)
    return document + content, {"inference-header-content-length": str(len(document))}


def compressed(write: Callable[[Wanted], Written]) -> Callable[[Wanted], Written]:
    """Compress the body of another writer, to however few bytes."""

    def compress(wanted: Wanted) -> Written:
        body, headers = write(wanted)
        return gzip.compress(body), headers | {"content-encoding": "gzip"}

    return compress


def binary_event(write: Callable[[Wanted], Written]) -> Callable[[Wanted], Written]:
    """Have the body of another writer as the data of an event in binary mode."""

    def event(wanted: Wanted) -> Written:
        data, headers = write(wanted._replace(id=""))
        attributes = {f"ce-{name}": quote(value) for name, value in _attributes(wanted).items()}
        return data, headers | attributes

    return event


def structured_event(
    write: Callable[[Wanted], Written], *, base64: bool = False
) -> Callable[[Wanted], Written]:
    """Have the body of another writer as the data of an event in structured mode."""

    def event(wanted: Wanted) -> Written:
        data, headers = write(wanted._replace(id="", size=0))
        member = b'"data_base64":"%b"' % b64encode(data) if base64 else b'"data":' + data
        body = b"%b,%b}" % (json.dumps(_attributes(wanted))[:-1].encode(), member)
        return body.rjust(wanted.size), headers | {"content-type": "application/cloudevents+json"}

    return event


def typed_message(wanted: Wanted) -> pb.ModelInferRequest:
    """Write a gRPC request whose numbers are in fields of their type."""
    return _message(wanted, {"contents": {"fp64_contents": _numbers(wanted)}})


def raw_message(wanted: Wanted) -> pb.ModelInferRequest:
    """Write a gRPC request whose numbers are bytes."""
    message = _message(wanted, {})
    message.raw_input_contents.append(np.array(wanted.rows, "<f8").tobytes())
    return message


def prediction(body: bytes) -> Sequence[float]:
    """Read the response of ``/stream``."""
    return [json.loads(body)["prediction"]]


def predictions(body: bytes) -> Sequence[float]:
    """Read the response of ``/batch`` and V1."""
    found: Sequence[float] = json.loads(body)["predictions"]
    return found


def explanations(body: bytes) -> Sequence[float]:
    """Read the predictions among explanations."""
    return [found["prediction"] for found in json.loads(body)["explanations"]]


def lines(body: bytes) -> Sequence[float]:
    """Read the response to records."""
    return [json.loads(line)["prediction"] for line in body.splitlines()]


def outputs(body: bytes) -> Sequence[float]:
    """Read a V2 response."""
    found: Sequence[float] = json.loads(body)["outputs"][0]["data"]
    return found


def event_data(read: Callable[[bytes], Sequence[float]]) -> Callable[[bytes], Sequence[float]]:
    """Read an event in structured mode, whose data another reader reads."""
    return lambda body: read(json.dumps(json.loads(body)["data"]).encode())


def _padded(document: object, wanted: Wanted) -> bytes:
    return json.dumps(document).encode().rjust(wanted.size)


def _named(wanted: Wanted) -> Headers:
    return {"x-request-id": wanted.id} if wanted.id else {}


def _numbers(wanted: Wanted) -> list[float]:
    return [value for row in wanted.rows for value in row]


def _tensor(wanted: Wanted, more: dict[str, Any]) -> dict[str, Any]:
    shape = [len(wanted.rows), len(wanted.rows[0])]
    return {"name": "instances", "shape": shape, "datatype": "FP64", **more}


def _infer(wanted: Wanted, data: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"id": wanted.id} if wanted.id else {}
    document["inputs"] = [_tensor(wanted, data)]
    if wanted.outputs:
        document["outputs"] = [{"name": name} for name in wanted.outputs]
    return document


def _message(wanted: Wanted, data: dict[str, Any]) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(
        model_name=wanted.model,
        model_version=wanted.version,
        id=wanted.id,
        inputs=[_tensor(wanted, data)],
        outputs=[{"name": name} for name in wanted.outputs],
    )
    if wanted.size:
        message.parameters["padding"].string_param = " " * wanted.size
    return message


def _attributes(wanted: Wanted) -> dict[str, str]:
    return {"specversion": "1.0", "id": wanted.id or "not plain", "source": "/tests", "type": "example"}
