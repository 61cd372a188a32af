"""The lines of requests in the log of a real server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from predictor.identity import take_ids
from tests.contract.bodies import Wanted
from tests.contract.operations import OPERATIONS
from tests.contract.transports import TRANSPORTS, Http, Transport
from tests.support.http import head, post
from tests.support.log import request_lines
from tests.support.processes import wait_until
from tests.support.server import Server, api_key_line, start_predictor

ADMIN = "admin-token"
VALUE = 3141.592653589
# Long enough to be in no random id by chance.
SECRETS = ("592653589", "secret", "client-key", ADMIN)
STREAM = b'{"instance": 3141.592653589}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that logs every request."""
    keys = tmp_path_factory.mktemp("secret") / "keys"
    keys.write_text(api_key_line("client-key", "shop", "predict,explain"))
    with start_predictor(
        inline_bytes=4096, auth="required", api_keys=keys, admin_token=ADMIN, log_ratio=1
    ) as running:
        yield running


def lines_of(server: Server, trace: str) -> list[dict[str, Any]]:
    return [line for line in request_lines(server.log.read_text()) if line["trace_id"] == trace]


def line_of(server: Server, trace: str) -> dict[str, Any]:
    """Return the line of a trace's only request."""
    (line,) = wait_until(lambda: lines_of(server, trace), what=f"the line of {trace}")
    return line


def trace_of(headers: Any) -> str:
    """Return the trace in the header fields or the metadata of a response."""
    return str(headers["traceparent"].split("-")[1])


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
def test_request_has_one_line_with_its_names(server: Server, transport: Transport) -> None:
    reply = transport.send(server, Wanted(((VALUE,),), key="client-key", header_id="order-17"))
    line = line_of(server, trace_of(reply.headers))
    assert (line["message"], line["level"], line["status"]) == ("answered", "info", 200)
    assert (line["request_id"], line["principal"]) == ("order-17", "shop")
    assert (line["transport"], line["endpoint"], line["rows"]) == (transport.transport, transport.endpoint, 1)
    assert line["span_id"] == reply.headers["traceparent"].split("-")[2]


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
@pytest.mark.parametrize(
    ("key", "row", "error"), [("wrong-secret", (VALUE,), "Unauthorized"), ("client-key", (VALUE, 1.0), "")]
)
def test_refusal_has_a_line_whatever_the_ratio(
    server: Server, transport: Transport, key: str, row: tuple[float, ...], error: str
) -> None:
    if not error and transport.name == "records":
        pytest.skip("a bad record is answered by a line of its own, and the stream goes on")
    change(server, log_ratio=0)
    try:
        reply = transport.send(server, Wanted((row,), key=key))
        line = line_of(server, trace_of(reply.headers))
        assert (line["message"], line["level"]) == ("refused", "warning")
        assert line["error"] == (error or line["error"])
        assert line["principal"] == ("" if error else "shop")
    finally:
        change(server, log_ratio=1)


def change(server: Server, **values: object) -> Any:
    """Change what is logged, as an administrator."""
    fields = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    with server.http as client:
        answer = client.patch("/telemetry", headers=fields, content=json.dumps(values))
    return answer.json()


def test_values_of_clients_are_nowhere_in_the_log(server: Server) -> None:
    secret = {
        "x-api-key": "client-key",
        "user-agent": "secret",
        "content-type": "secret/x",
        "x-request-id": "a secret",
    }
    requests = [
        post("/stream", b'{"instance": "secret"}', {"x-api-key": "client-key"}),
        post("/stream", b"secret" * 1000, secret),
        post("/secret?secret=592653589", STREAM, secret),
        post("/v1/models/secret:predict", STREAM, secret),
        head("/stream/3141.592653589", secret, method="GET"),
        head("/stream/secret", secret, method="SECRET"),
        post("/feedback", b'{"id": "secret", "target": 592653589}', {"authorization": f"Bearer {ADMIN}"}),
        post(
            "/stream", STREAM, {"x-api-key": "client-key", "traceparent": "secret", "tracestate": "secret=1"}
        ),
        b"secret\r\n\r\n",
    ]
    for request in requests:
        server.exchange(request, half_close=True)
    for transport in (found for found in TRANSPORTS if found.name != "records"):
        for wanted in (Wanted(((VALUE, VALUE),)), Wanted(((VALUE,),), model="secret", version="secret")):
            transport.send(
                server, wanted._replace(key="client-key", size=5000 if isinstance(transport, Http) else 0)
            )
    assert OPERATIONS["gRPC load"].call(server, "secret")[0] == "UNAUTHENTICATED"
    last = trace_of(TRANSPORTS[0].send(server, Wanted(key="client-key")).headers)
    line_of(server, last)
    text = server.log.read_text()
    assert len(request_lines(text)) > len(requests)
    for value in SECRETS:
        assert value not in text


def test_an_administrator_changes_level_and_ratio(server: Server) -> None:
    assert change(server, log_ratio=0.25, log_level="DEBUG") == {
        "log_level": "DEBUG",
        "log_ratio": 0.25,
        "trace_ratio": None,
    }
    audited = [
        json.loads(line) for line in server.log.read_text().splitlines() if "telemetry changed" in line
    ][-1]
    assert (audited["log_ratio"], audited["log_level"], audited["principal"]) == (0.25, "DEBUG", "admin")
    traces = [take_ids()[:32].decode() for _ in range(40)]
    for trace in traces:
        fields = {"x-api-key": "client-key", "traceparent": f"00-{trace}-00f067aa0ba902b7-00"}
        with server.connect() as connection:
            connection.send(post("/stream", STREAM, fields))
            assert connection.read_response().status == 200
    assert change(server, log_ratio=1, log_level="ERROR")["log_level"] == "ERROR"
    silent = trace_of(TRANSPORTS[0].send(server, Wanted(key="wrong")).headers)
    assert change(server, log_level="INFO")["log_level"] == "INFO"
    line_of(server, trace_of(TRANSPORTS[0].send(server, Wanted(key="client-key")).headers))
    assert lines_of(server, silent) == []
    logged = {line["trace_id"] for line in request_lines(server.log.read_text())} & set(traces)
    assert logged == {trace for trace in traces if trace[16] in "0123"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "expected an object with some of log_level, log_ratio, trace_ratio"),
        ("[]", "expected an object with some of"),
        ('{"level": "INFO"}', "expected an object with some of"),
        ('{"log_level": "LOUD"}', "log_level: expected one of DEBUG, INFO, WARNING, ERROR"),
        ('{"log_level": ["INFO"]}', "log_level: expected one of"),
        ('{"log_ratio": 1.5}', "log_ratio: expected a number from 0 to 1"),
        ('{"log_ratio": true}', "log_ratio: expected a number"),
        ('{"log_ratio": 1, "trace_ratio": 1}', "trace_ratio: tracing is off"),
    ],
)
def test_refuses_a_wrong_change_and_changes_nothing(server: Server, body: str, message: str) -> None:
    fields = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    with server.http as client:
        before = client.get("/telemetry", headers=fields).json()
        answer = client.patch("/telemetry", headers=fields, content=body)
        status = 409 if "tracing is off" in message else 400
        assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
        assert client.get("/telemetry", headers=fields).json() == before


def test_a_request_that_is_not_understood_has_a_line(server: Server) -> None:
    answer = server.exchange(b"GET / HTTP/1.1\r\n\r\n")
    trace = answer.partition(b"traceparent: 00-")[2][:32].decode()
    line = line_of(server, trace)
    assert (line["endpoint"], line["route"], line["error"]) == ("unparsed", "", "InvalidInput")
