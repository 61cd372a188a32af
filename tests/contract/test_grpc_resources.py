"""What gRPC clients can take of a server: those that send nothing, and those that read nothing."""

import time
from contextlib import ExitStack

import pytest

from tests.contract.observations import observe, wait_for_memory
from tests.contract.test_grpc import CHECK, INFER, infer_request, status_of
from tests.support.http2 import DATA, HEADERS, Http2Connection
from tests.support.processes import wait_until
from tests.support.server import Server

MIB = 2**20
LIVE = "/inference.GRPCInferenceService/ServerLive"
READY = "/inference.GRPCInferenceService/ModelReady"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WATCH = "/grpc.health.v1.Health/Watch"
CALL_BYTES = 2**14


@pytest.mark.parametrize("path", [INFER, CHECK, READY, REFLECTION, WATCH])
def test_answers_others_while_many_callers_send_nothing(server: Server, path: str) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(Http2Connection(server.grpc_port)) for _ in range(20)]
        for connection in silent * 10:
            connection.call(path)
        other = stack.enter_context(Http2Connection(server.grpc_port))
        waited = []
        for _ in range(10):
            for probe in (LIVE, CHECK):
                started = time.monotonic()
                assert "grpc-status\x010" in status_of(other, other.call(probe, b""))
                waited.append(time.monotonic() - started)
    # The benchmark has the bound, 100 ms. Who had to wait for silent callers would wait for 30 s.
    assert min(waited) < 10


def test_ends_calls_whose_clients_read_nothing_and_gives_their_memory_back(hasty_server: Server) -> None:
    message = infer_request(1000).SerializeToString()
    with observe(hasty_server) as observed, Http2Connection(hasty_server.grpc_port, window=0) as connection:
        for _ in range(10):
            connection.call(INFER, message)
        with pytest.raises(ConnectionError):
            connection.read(DATA)
    wait_for_memory(hasty_server, 0)
    assert sum(observed.requests.values()) == 10


def test_calls_that_are_not_read_take_no_more_than_the_memory_budget(small_server: Server) -> None:
    server, budget, message = small_server, 2 * MIB, infer_request(100).SerializeToString()
    idle = server.memory()
    with ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(Http2Connection(server.grpc_port, window=0))
            for _ in range(100):
                connection.call(INFER, message)
        wait_until(
            lambda: server.metric("predictor_body_memory_bytes") > budget / 2, what="calls in progress"
        )
        assert server.metric("predictor_body_memory_bytes") < 1.2 * budget
        assert server.metric("predictor_requests_in_progress") <= budget // CALL_BYTES + 1
        assert server.memory() - idle < budget + 64 * MIB


def test_refuses_more_than_so_many_clients_that_watch_the_health(server: Server) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(Http2Connection(server.grpc_port)) for _ in range(4)]
        streams = [{connection.call(WATCH, b"") for _ in range(64)} for connection in connections]
        for connection, unanswered in zip(connections, streams, strict=True):
            while unanswered:  # in any order
                unanswered.discard(connection.read(HEADERS).stream)
        with Http2Connection(server.grpc_port) as other:
            assert "too many clients watch" in status_of(other, other.call(WATCH, b""))
    with Http2Connection(server.grpc_port) as other:
        wait_until(lambda: "grpc-status" not in first_headers(other), what="the other clients to be gone")


def first_headers(connection: Http2Connection) -> str:
    return connection.read(HEADERS, connection.call(WATCH, b"")).content.decode("latin-1")
