"""What gRPC clients see beyond the rules of all transports: versions, metadata, health, limits."""

import gzip
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.contract.conftest import ADMIN_TOKEN
from tests.contract.observations import observe
from tests.support.http import PATIENCE
from tests.support.http2 import DATA, END_STREAM, HEADERS, RESET, Http2Connection, prefixed
from tests.support.server import NAME, Server, start_predictor

INFER = "/inference.GRPCInferenceService/ModelInfer"
CHECK = "/grpc.health.v1.Health/Check"
LIMIT = 2**16
ADMIN = (("authorization", f"Bearer {ADMIN_TOKEN}"),)
CANCEL = (8).to_bytes(4, "big")


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def short_server() -> Iterator[Server]:
    """A server of short messages."""
    flags = ("--grpc_max_receive_message_length", str(LIMIT))
    with start_predictor(flags=flags, admin_token=ADMIN_TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def guarded_server(api_keys: Path) -> Iterator[Server]:
    with start_predictor(auth="required", api_keys=api_keys) as running:
        yield running


def infer_request(rows: int = 1) -> pb.ModelInferRequest:
    tensor = {"name": "instances", "datatype": "FP64", "shape": [rows, 1]}
    return pb.ModelInferRequest(model_name=NAME, inputs=[tensor], raw_input_contents=[bytes(8 * rows)])


def code_of(call: Callable[..., Any], request: Any, **options: Any) -> str:
    """Call a method; returns the name of the status code."""
    try:
        call(request, timeout=PATIENCE, **options)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def status_of(connection: Http2Connection, stream: int) -> str:
    """Read the end of a call; returns its status and message, as they are sent."""
    while True:
        frame = connection.read(HEADERS, stream)
        if frame.flags & END_STREAM:
            return frame.content.decode("latin-1")


@pytest.mark.parametrize(
    ("version", "model", "code"),
    [("", NAME, "OK"), ("7", NAME, "OK"), ("8", NAME, "NOT_FOUND"), ("", "x", "NOT_FOUND")],
)
def test_only_the_served_model_and_version_are_found(
    channel: grpc.Channel, version: str, model: str, code: str
) -> None:
    stub = GRPCInferenceServiceStub(channel)
    infer = infer_request()
    infer.model_name, infer.model_version = model, version
    assert code_of(stub.ModelInfer, infer) == code
    assert code_of(stub.ModelReady, pb.ModelReadyRequest(name=model, version=version)) == code
    assert code_of(stub.ModelMetadata, pb.ModelMetadataRequest(name=model, version=version)) == code
    if not version:
        assert (
            code_of(stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name=model), metadata=ADMIN)
            == code
        )


def test_refuses_outputs_that_contradict(channel: grpc.Channel) -> None:
    request = infer_request()
    for name in ("predictions", "other"):
        request.outputs.add(name=name)
    assert code_of(GRPCInferenceServiceStub(channel).ModelInfer, request) == "INVALID_ARGUMENT"


def test_metadata_is_that_of_rest(server: Server, channel: grpc.Channel) -> None:
    stub = GRPCInferenceServiceStub(channel)
    for path, answer in (
        ("/v2", stub.ServerMetadata(pb.ServerMetadataRequest())),
        (f"/v2/models/{NAME}", stub.ModelMetadata(pb.ModelMetadataRequest(name=NAME))),
    ):
        with urllib.request.urlopen(f"{server.url}{path}") as response:
            expected = json.load(response)
        expected.pop("parameters", None)  # the protocol of gRPC has no place for them
        found = {field.name: value for field, value in answer.ListFields()}
        tensors = {
            name: [
                {"name": item.name, "datatype": item.datatype, "shape": list(item.shape)}
                for item in found[name]
            ]
            for name in ("inputs", "outputs")
            if name in found
        }
        assert {**found, **tensors} == expected


def test_the_server_is_not_ready_after_an_unload(channel: grpc.Channel) -> None:
    stub, health = GRPCInferenceServiceStub(channel), HealthStub(channel)
    watched = health.Watch(health_pb2.HealthCheckRequest(service=NAME), timeout=PATIENCE)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=NAME), metadata=ADMIN)
    try:
        assert not stub.ServerReady(pb.ServerReadyRequest()).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name=NAME)).ready
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        check = health.Check(health_pb2.HealthCheckRequest(service=NAME))
        assert check.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
    finally:
        stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=NAME), metadata=ADMIN)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()


def test_watches_the_health_of_an_unknown_service_and_refuses_to_check_it(channel: grpc.Channel) -> None:
    health, request = HealthStub(channel), health_pb2.HealthCheckRequest(service="other")
    watched = health.Watch(request, timeout=PATIENCE)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watched.cancel()
    assert code_of(health.Check, request) == "NOT_FOUND"


def test_watching_ends_with_the_server_and_tells_that_it_is_ending() -> None:
    with start_predictor(drain_seconds=2) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
            watched = HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
            assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
            running.process.terminate()
            assert [found.status for found in watched] == [health_pb2.HealthCheckResponse.NOT_SERVING]
        assert running.process.wait(PATIENCE) == 0


def test_reflection_describes_all_services(channel: grpc.Channel) -> None:
    requests = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.GRPCInferenceService"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="no.proto"),
    )
    listed, described, unknown = ServerReflectionStub(channel).ServerReflectionInfo(
        iter(requests), timeout=PATIENCE
    )
    assert {service.name for service in listed.list_services_response.service} == {
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert b"ModelInfer" in described.file_descriptor_response.file_descriptor_proto[0]
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize(
    "path",
    ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Watch", CHECK],
)
def test_refuses_a_malformed_message(server: Server, path: str) -> None:
    with Http2Connection(server.grpc_port) as connection:
        answer = status_of(connection, connection.call(path, b"\x0a\xff"))
    assert "grpc-status\x013" in answer
    assert "malformed message" in answer


@pytest.mark.parametrize("path", [INFER, CHECK])
def test_refuses_a_call_without_a_message(server: Server, path: str) -> None:
    with observe(server, alone=True) as observed, Http2Connection(server.grpc_port) as connection:
        stream = connection.call(path)
        connection.send(DATA, flags=END_STREAM, stream=stream)
        assert "the call has no message" in status_of(connection, stream)
    assert [code for _, code in observed.requests] == ["400"]


def test_unknown_methods_are_unimplemented(server: Server) -> None:
    with Http2Connection(server.grpc_port) as connection:
        assert "grpc-status\x0212" in status_of(
            connection, connection.call("/inference.GRPCInferenceService/X", b"")
        )


@pytest.mark.parametrize("credential", [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}])
def test_authorizes_a_call_before_its_message_is_there(
    guarded_server: Server, credential: dict[str, str]
) -> None:
    with Http2Connection(guarded_server.grpc_port) as connection:
        stream = connection.call(INFER, metadata=credential)
        connection.send(DATA, prefixed(b"", length=2**20), stream=stream)
        assert "grpc-status\x0216" in status_of(connection, stream)


def test_takes_a_credential_from_both_fields(guarded_server: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{guarded_server.grpc_port}") as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        for metadata in ((("x-api-key", "alpha"),), (("authorization", "bearer alpha"),)):
            assert code_of(infer, infer_request(), metadata=metadata) == "OK"


def test_takes_the_longest_message_and_refuses_one_more_byte(short_server: Server) -> None:
    body = infer_request().SerializeToString()
    rest = LIMIT - len(body) - 4
    longest = body + b"\x1a" + bytes([rest & 127 | 128, rest >> 7 & 127 | 128, rest >> 14]) + b" " * rest
    assert len(longest) == LIMIT
    with grpc.insecure_channel(f"127.0.0.1:{short_server.grpc_port}") as channel:
        infer = channel.unary_unary(INFER)
        assert code_of(infer, longest) == "OK"
        with observe(short_server, alone=True) as observed:
            assert code_of(infer, longest + b" ") == "RESOURCE_EXHAUSTED"
    assert observed.requests == {("v2_infer", "413"): 1}


@pytest.mark.parametrize("late", [True, False])
def test_refuses_a_message_by_its_announced_length(short_server: Server, *, late: bool) -> None:
    with observe(short_server, alone=True) as observed, Http2Connection(short_server.grpc_port) as connection:
        stream = connection.call(INFER)
        if late:
            connection.send(DATA, prefixed(b"", length=2**30)[:3], stream=stream)
            connection.send(DATA, prefixed(b"", length=2**30)[3:], stream=stream)
        else:
            connection.send(DATA, prefixed(b"", length=2**30), stream=stream)
        assert "Received message larger than max" in status_of(connection, stream)
    assert observed.requests == {("v2_infer", "413"): 1}


@pytest.mark.parametrize(("length", "status", "code"), [(100, 0, "200"), (LIMIT, 8, "413")])
def test_takes_a_compressed_message_but_not_one_that_becomes_too_long(
    short_server: Server, length: int, status: int, code: str
) -> None:
    body = infer_request().SerializeToString() + pb.ModelInferRequest(id="7" * length).SerializeToString()
    message = prefixed(gzip.compress(body), compressed=True)
    with observe(short_server, alone=True) as observed, Http2Connection(short_server.grpc_port) as connection:
        stream = connection.call(INFER, metadata={"grpc-encoding": "gzip"})
        connection.send(DATA, message, flags=END_STREAM, stream=stream)
        assert f"grpc-status\x01{status}" in status_of(connection, stream)
    assert observed.requests == {("v2_infer", code): 1}


@pytest.mark.parametrize("sent", [b"", prefixed(bytes(10), length=1000)])
@pytest.mark.parametrize("closes", [True, False])
def test_a_client_that_goes_away_while_its_message_is_read_is_counted_as_gone(
    server: Server, sent: bytes, *, closes: bool
) -> None:
    with observe(server, alone=True) as observed, Http2Connection(server.grpc_port) as connection:
        stream = connection.call(INFER)
        connection.send(DATA, sent, stream=stream)
        status_of(connection, connection.call(CHECK, b""))  # so the first call has begun
        if closes:
            connection.close()
        else:
            connection.send(RESET, CANCEL, stream=stream)
            status_of(connection, connection.call(CHECK, b""))
    assert observed.requests == {("v2_infer", "499"): 1, ("health", "200"): 2 - closes}
    assert observed.rejected == {"gone": 1}
    assert observed.errors == []
