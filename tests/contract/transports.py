"""Every transport of a prediction, as a table; each sends a request and reads its response."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc
import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.errors import PredictorError
from tests.contract import bodies
from tests.contract.bodies import Wanted
from tests.support import http
from tests.support.server import Server

LARGE = 8192
"""Bytes of a body that is computed in a thread, by a server with ``inline_bytes=4096``."""


class Reply(NamedTuple):
    """What a client reads.

    Attributes:
        outcome: the HTTP status, or the name of the gRPC status code.
        message: the error; empty for a success.
        predictions: the predicted values.
        id: the name under which the rows are recorded.
        headers: header fields of HTTP, or trailing metadata of gRPC.
    """

    outcome: int | str
    message: str
    predictions: Sequence[float]
    id: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Http:
    """A form of request over HTTP.

    Attributes:
        name: for the tests' names.
        endpoint: its name in metrics and in the audit log.
        path: with places for the model and for ``/versions/V``.
        write: writes the body, and the header fields that belong to it.
        read: reads the predictions in the body of a response.
        exempt: rules that can't apply, and why.
        method: GET has the body in its path.
        chunked: whether the body has no length beforehand.
        size: bytes of the body at least.
        scope: what a credential must grant.
    """

    name: str
    endpoint: str
    path: str
    write: Callable[[Wanted], bodies.Written]
    read: Callable[[bytes], Sequence[float]]
    exempt: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    chunked: bool = False
    size: int = 0
    scope: str = "predict"
    transport: str = "http"

    def outcome(self, error: type[PredictorError] | None) -> int | str:
        """Return the outcome for an error, or for a success."""
        return error.status if error else 200

    def send(self, server: Server, wanted: Wanted) -> Reply:
        """Send a request, and read its response."""
        with server.connect() as connection:
            connection.send(self.request(wanted))
            response = connection.read_response()
        headers = {name.decode(): value.decode() for name, value in response.headers.items()}
        if response.status != 200:
            return Reply(response.status, json.loads(response.body)["error"], (), "", headers)
        return Reply(200, "", self.read(response.body), headers.get("x-request-id", ""), headers)

    def request(self, wanted: Wanted) -> bytes:
        """Write a whole request."""
        version = f"/versions/{wanted.version}" if wanted.version else ""
        path = self.path.format(model=wanted.model, version=version)
        body, headers = self.write(wanted._replace(size=max(self.size, wanted.size)))
        headers = headers | dict(_metadata(wanted))
        if self.method == "GET":
            return http.head(path + body.decode(), headers, method="GET")
        return http.post(path, body, headers, chunk_size=1000 if self.chunked else 0)


@dataclass(frozen=True)
class Grpc:
    """A form of ModelInfer; the attributes mean the same."""

    name: str
    write: Callable[[Wanted], pb.ModelInferRequest]
    exempt: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = "v2_infer"
    scope: str = "predict"
    transport: str = "grpc"

    def outcome(self, error: type[PredictorError] | None) -> int | str:
        """Return the outcome for an error, or for a success."""
        return error.grpc_code if error else "OK"

    def send(self, server: Server, wanted: Wanted) -> Reply:
        """Send a request, and read its response."""
        metadata = _metadata(wanted)
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            infer = GRPCInferenceServiceStub(channel).ModelInfer
            try:
                response, call = infer.with_call(self.write(wanted), metadata=metadata, timeout=http.PATIENCE)
            except grpc.RpcError as error:
                return Reply(error.code().name, error.details(), (), "", dict(error.trailing_metadata()))
        values: Sequence[float] = response.outputs[0].contents.fp64_contents
        if response.raw_output_contents:
            values = np.frombuffer(response.raw_output_contents[0], "<f8").tolist()
        return Reply("OK", "", values, response.id, dict(call.trailing_metadata()))


Transport = Http | Grpc


def _metadata(wanted: Wanted) -> list[tuple[str, str]]:
    credential = [("authorization", f"Bearer {wanted.key}")] if wanted.key else []
    names = {"x-request-id": wanted.header_id, "traceparent": wanted.traceparent}
    return credential + [(name, value) for name, value in names.items() if value]


# Rules that can't apply, and why.
NATIVE = {
    "unknown model": "the path names no model",
    "unknown version": "the path names no version",
    "unknown output": "the protocol has one output without a name",
}
V1 = {name: NATIVE[name] for name in ("unknown version", "unknown output")}
INLINE = {
    "length": "a longer body is not answered in this way",
    "queue": "a small body is computed on the event loop, and waits for no thread",
    "deadline": "a small body is computed on the event loop, within milliseconds",
}
SMALL = INLINE | {
    "memory": "a small body that arrives with its head is answered at once, and takes no memory"
}
ONE_ROW = {"rows": "it asks for one row"}
PATH = INLINE | {"length": "it has no body", "memory": "it has no body"}
RECORDS = {
    "length": "a stream may have any length, and each record its own limit",
    "memory": "its response has begun, and ends with a line that says so",
    "rows": "a stream may have any number of records",
    "bad input": "a bad record is answered by a line of its own, and the stream goes on",
    "queue": "records are computed on the event loop, as they arrive",
    "deadline": "a stream may last as long as its client wants",
}

_Form = tuple[str, str, Callable[[Wanted], bodies.Written], Callable[[bytes], Sequence[float]]]
"""Endpoint, path, writer and reader."""

_STREAM: _Form = ("stream", "/stream", bodies.instance, bodies.prediction)
_BATCH: _Form = ("batch", "/batch", bodies.instances, bodies.predictions)
_PREDICT: _Form = ("v1_predict", "/v1/models/{model}:predict", bodies.instances, bodies.predictions)
_EXPLAIN: _Form = ("v1_explain", "/v1/models/{model}:explain", bodies.instances, bodies.explanations)
_INFER: _Form = ("v2_infer", "/v2/models/{model}{version}/infer", bodies.infer, bodies.outputs)
_ROW_IN_PATH: _Form = ("stream", "/stream/", bodies.row_in_path, bodies.prediction)
_ROWS_IN_PATH: _Form = ("batch", "/batch/", bodies.rows_in_path, bodies.predictions)
_RECORDS: _Form = ("stream_ndjson", "/stream", bodies.records, bodies.lines)


def _compressed(form: _Form) -> _Form:
    endpoint, path, write, read = form
    return endpoint, path, bodies.compressed(write), read


def _event(form: _Form) -> _Form:
    endpoint, path, write, read = form
    return endpoint, path, bodies.binary_event(write), read


def _structured(form: _Form, *, base64: bool = False) -> _Form:
    endpoint, path, write, read = form
    return endpoint, path, bodies.structured_event(write, base64=base64), bodies.event_data(read)


TRANSPORTS: tuple[Transport, ...] = (
    # Small JSON on the fast path, which parses each head once.
    Http("small stream", *_STREAM, exempt=NATIVE | SMALL | ONE_ROW),
    Http("small batch", *_BATCH, exempt=NATIVE | SMALL),
    Http("small V1", *_PREDICT, exempt=V1 | SMALL),
    Http("small V2", *_INFER, exempt=SMALL),
    # The ASGI application: bodies without a length, bodies for a thread, and whatever else is no plain POST.
    Http("chunked stream", *_STREAM, exempt=NATIVE | ONE_ROW, chunked=True),
    Http("chunked batch", *_BATCH, exempt=NATIVE, chunked=True),
    Http("chunked V1", *_PREDICT, exempt=V1, chunked=True),
    Http("chunked explain", *_EXPLAIN, exempt=V1, chunked=True, scope="explain"),
    Http("chunked V2", *_INFER, chunked=True),
    Http("large stream", *_STREAM, exempt=NATIVE | ONE_ROW, size=LARGE),
    Http("large batch", *_BATCH, exempt=NATIVE, size=LARGE),
    Http("large V1", *_PREDICT, exempt=V1, size=LARGE),
    Http("large explain", *_EXPLAIN, exempt=V1, size=LARGE, scope="explain"),
    Http("large V2", *_INFER, size=LARGE),
    Http("large V2 binary", *_INFER[:2], bodies.infer_binary, bodies.outputs, size=LARGE),
    Http("compressed batch", *_compressed(_BATCH), exempt=NATIVE),
    Http("row in path", *_ROW_IN_PATH, exempt=NATIVE | PATH | ONE_ROW, method="GET"),
    Http("rows in path", *_ROWS_IN_PATH, exempt=NATIVE | PATH, method="GET"),
    Http("records", *_RECORDS, exempt=NATIVE | RECORDS, chunked=True),
    # CloudEvents.
    Http("event V1", *_event(_PREDICT), exempt=V1, transport="cloudevents"),
    Http("event V2", *_event(_INFER), transport="cloudevents"),
    Http("event explain", *_event(_EXPLAIN), exempt=V1, scope="explain", transport="cloudevents"),
    Http("structured event V1", *_structured(_PREDICT), exempt=V1, transport="cloudevents"),
    Http("structured event V2", *_structured(_INFER), transport="cloudevents"),
    Http(
        "structured event explain",
        *_structured(_EXPLAIN),
        exempt=V1,
        scope="explain",
        transport="cloudevents",
    ),
    Http("base64 event V1", *_structured(_PREDICT, base64=True), exempt=V1, transport="cloudevents"),
    # gRPC.
    Grpc("gRPC", bodies.typed_message),
    Grpc("gRPC raw", bodies.raw_message),
)
