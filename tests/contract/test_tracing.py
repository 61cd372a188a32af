"""Spans of a real server, as a collector receives them."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.identity import take_ids
from tests.support.collector import Collector, attributes_of, collecting
from tests.support.http import PATIENCE, post
from tests.support.ports import free_port
from tests.support.processes import wait_until
from tests.support.server import NAME, Server, api_key_line, start_predictor

KEY = {"x-api-key": "alpha"}
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
STREAM = b'{"instance": 0.123454321}'
V1 = f"/v1/models/{NAME}:predict"
EVENT = {"ce-specversion": "1.0", "ce-id": "order-17", "ce-source": "/orders", "ce-type": "example"}
PARENT = "00f067aa0ba902b7"
SERVER, UNSET, ERROR = 2, 0, 2


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that records the traces that clients record, and one in a hundred of its own."""
    keys = tmp_path_factory.mktemp("secret") / "keys"
    keys.write_text(api_key_line("alpha", "shop", "predict,explain"))
    environment = {
        **SOON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=pod-1",
    }
    settings = {"auth": "required", "api_keys": keys, "admin_token": "admin"}
    with start_predictor(environment=environment, **settings) as running:
        yield running


def traced(sampled: str = "01") -> tuple[str, dict[str, str]]:
    """Return the id of a new trace, and the header fields of a client within it."""
    trace = take_ids()[:32].decode()
    return trace, {"traceparent": f"00-{trace}-{PARENT}-{sampled}", "tracestate": "vendor=1"}


def send(server: Server, request: bytes) -> dict[bytes, bytes]:
    with server.connect() as connection:
        connection.send(request)
        return connection.read_response().headers


def infer(
    server: Server, metadata: list[tuple[str, str]], model: str = NAME
) -> tuple[grpc.StatusCode, dict[str, str]]:
    message = pb.ModelInferRequest(model_name=model)
    tensor = message.inputs.add(name="x", datatype="FP64", shape=[1, 1])
    tensor.contents.fp64_contents.append(0.123454321)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = GRPCInferenceServiceStub(channel).ModelInfer.future(
            message, metadata=metadata, timeout=PATIENCE
        )
        return call.code(), dict(call.trailing_metadata())


def check_parent(span: Any, answer: dict[bytes, bytes]) -> None:
    """Check that a span is the part of the trace that the response names, and the client's child."""
    trace, own = answer[b"traceparent"].decode().split("-")[1:3]
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (trace, own, PARENT)
    assert (span.kind, span.trace_state) == (SERVER, "vendor=1")
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < PATIENCE * 1e9


@pytest.mark.parametrize(
    ("path", "route", "more"),
    [("/stream", "/stream", {}), ("/stream?x=1", "/stream", {}), (V1, V1, EVENT)],
)
def test_http_span_is_the_child_of_the_clients_span(
    server: Server, collector: Collector, path: str, route: str, more: dict[str, str]
) -> None:
    trace, fields = traced()
    body = b'{"instances": [0.123454321]}' if path == V1 else STREAM
    answer = send(server, post(path, body, KEY | fields | more | {"x-request-id": "order-17"}))
    span = collector.wait_for(trace)
    check_parent(span, answer)
    assert (span.name, span.status.code) == (f"POST {route}", UNSET)
    assert attributes_of(span) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": route,
        "url.path": route,
        "url.scheme": "http",
        "predictor.request_id": "order-17",
        "predictor.rows": 1,
    }


def test_an_event_is_part_of_its_own_trace(server: Server, collector: Collector) -> None:
    for structured in (False, True):
        trace, fields = traced()
        if structured:
            event = {name.removeprefix("ce-"): value for name, value in EVENT.items()} | fields
            body = json.dumps(event | {"data": {"instances": [0.5]}}).encode()
            request = post(V1, body, KEY | {"content-type": "application/cloudevents+json"})
        else:
            binary = {f"ce-{name}": value for name, value in fields.items()}
            request = post(V1, b'{"instances": [0.5]}', KEY | EVENT | binary)
        answer = send(server, request)
        check_parent(collector.wait_for(trace), answer)
        if not structured:
            assert answer[b"ce-traceparent"].decode() == answer[b"traceparent"].decode()


def test_grpc_span_is_the_child_of_the_clients_span(server: Server, collector: Collector) -> None:
    trace, fields = traced()
    code, trailers = infer(server, [*KEY.items(), *fields.items(), ("x-request-id", "order-18")])
    assert code is grpc.StatusCode.OK
    assert trailers["x-request-id"] == "order-18"
    span = collector.wait_for(trace)
    check_parent(span, {b"traceparent": trailers["traceparent"].encode()})
    assert (span.name, span.status.code) == ("inference.GRPCInferenceService/ModelInfer", UNSET)
    assert attributes_of(span) == {
        "rpc.system.name": "grpc",
        "rpc.method": "inference.GRPCInferenceService/ModelInfer",
        "rpc.response.status_code": "OK",
        "predictor.request_id": "order-18",
        "predictor.rows": 1,
    }


def test_faults_of_the_server_are_errors_and_those_of_clients_are_not(
    server: Server, collector: Collector
) -> None:
    bad, fields = traced()
    send(server, post("/stream", b'{"instance": "secret"}', KEY | fields))
    span = collector.wait_for(bad)
    assert (attributes_of(span)["http.response.status_code"], span.status.code) == (400, UNSET)
    admin = {"authorization": "Bearer admin"}
    assert b"x-request-id" in send(server, post(f"/v2/repository/models/{NAME}/unload", b"", admin))
    try:
        trace, fields = traced()
        send(server, post("/stream", STREAM, KEY | fields))
        span = collector.wait_for(trace)
        assert (attributes_of(span)["error.type"], span.status.code) == ("Unavailable", ERROR)
        trace, fields = traced()
        assert infer(server, [*KEY.items(), *fields.items()])[0] is grpc.StatusCode.UNAVAILABLE
        span = collector.wait_for(trace)
        assert (attributes_of(span)["error.type"], span.status.code) == ("UNAVAILABLE", ERROR)
    finally:
        send(server, post(f"/v2/repository/models/{NAME}/load", b"", admin))


def test_no_value_of_a_client_is_in_a_span(server: Server, collector: Collector) -> None:
    trace, fields = traced()
    for path in ("/secret", "/stream/31415926", "/v1/models/secret:predict", "/v1/models/secret"):
        send(
            server,
            post(
                path, b"secret 31415926", KEY | fields | {"user-agent": "secret", "content-type": "secret/x"}
            ),
        )
    infer(server, [*KEY.items(), *fields.items(), ("user-agent", "secret")], model="secret")
    wait_until(
        lambda: sum(span.trace_id.hex() == trace for span in collector.spans()) == 5 or None,
        what="five spans",
    )
    for received in collector.received:
        for value in (b"secret", b"31415926", b"0.123454321", b"alpha", b"shop"):
            assert value not in received


def test_a_trace_that_its_client_does_not_record_has_no_span(server: Server, collector: Collector) -> None:
    hidden, fields = traced(sampled="00")
    shown, others = traced()
    assert send(server, post("/stream", STREAM, KEY | fields))[b"traceparent"].endswith(b"-00")
    send(server, post("/stream", STREAM, KEY | others))
    collector.wait_for(shown)
    assert hidden not in {span.trace_id.hex() for span in collector.spans()}


def test_an_administrator_chooses_the_share_of_new_traces(server: Server, collector: Collector) -> None:
    admin = {"authorization": "Bearer admin", "content-type": "application/json"}
    with server.http as client:
        assert client.get("/telemetry", headers=admin).json()["trace_ratio"] == 0.01
        assert (
            client.patch("/telemetry", headers=admin, content=b'{"trace_ratio": 1}').json()["trace_ratio"]
            == 1
        )
        answer = client.post("/stream", content=STREAM, headers=KEY)
        span = collector.wait_for(answer.headers["traceparent"].split("-")[1])
        assert span.parent_span_id == b""
        assert answer.headers["traceparent"].endswith("-01")
        client.patch("/telemetry", headers=admin, content=b'{"trace_ratio": 0.01}')


def test_spans_name_the_service(server: Server, collector: Collector) -> None:
    trace, fields = traced()
    send(server, post("/stream", STREAM, KEY | fields))
    collector.wait_for(trace)
    resource = attributes_of(collector.resources()[0].resource)
    assert (resource["service.name"], resource["k8s.pod.name"]) == (NAME, "pod-1")


def test_a_collector_that_is_down_costs_nothing_but_a_warning() -> None:
    environment = SOON | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with start_predictor(environment=environment) as server:
        for _ in range(20):
            assert send(server, post("/stream", STREAM))[b"content-length"]
        lines = wait_until(
            lambda: [line for line in server.log.read_text().splitlines() if "exporter" in line] or None,
            what="a warning",
        )
        assert all(json.loads(line)["level"] in ("warning", "error") for line in lines)
        assert server.end(PATIENCE) == 0
