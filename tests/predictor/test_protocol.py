"""A connection of uvicorn's protocol with the desk before it, on a transport that only takes notes."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from predictor.http import protocol
from predictor.http.protocol import FastProtocol
from predictor.model import artifact
from predictor.model.artifact import LinearModel
from predictor.model.handle import ModelHandle
from predictor.service.inference import Service
from predictor.settings import Settings

SMALL = b'POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\n{"instance":0.5}'
PREDICTION = b'{"prediction":621.625}'


class Transport:
    """What was written to it, and whether and how it was closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = ""
        self.unsent = 0
        self.socket, self.client = socket.socketpair()
        self.socket.setblocking(False)

    def get_extra_info(self, name: str) -> Any:
        return self.socket if name == "socket" else None

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"

    def is_closing(self) -> bool:
        return bool(self.closed)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Connection:
    """A connection, and the means to speak over it."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.asked: list[str] = []
        self.service = service
        self.transport = Transport()
        made: Any = protocol.protocol(service)
        config = uvicorn.Config(
            self.application, http=made, interface="asgi3", log_config=None, timeout_keep_alive=5
        )
        self.wire: FastProtocol = made(config, ServerState(), {}, loop)
        self.wire.connection_made(self.transport)
        self.loop = loop

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def send(self, data: bytes) -> bytes:
        """Send bytes; what is written until nothing more is to be done."""
        self.transport.written = b""
        self.wire.data_received(data)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))
        return self.transport.written

    def pour(self, data: bytes) -> bytes:
        """Send bytes into the socket, where the transport does not read; what is written meanwhile."""
        self.transport.written = b""
        self.transport.client.setblocking(False)
        while data:
            data = data[self.transport.client.send(data) :]
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.run_until_complete(asyncio.sleep(0))
        return self.transport.written

    def tend(self, now: float) -> str:
        """How the transport is closed when the connection is looked after at a time."""
        self.wire.tend(now)
        return self.transport.closed


@pytest.fixture
def connection(one_feature: LinearModel, tmp_path: Path) -> Iterator[Connection]:
    artifact.write(one_feature, tmp_path / "7")
    served = ModelHandle("linear-regressor", tmp_path / "7")
    assert served.load()
    loop = asyncio.new_event_loop()
    settings = Settings(head_seconds=2, read_seconds=3, write_seconds=4)
    yield Connection(Service(served, settings), loop)
    loop.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test."""
    now = [100.0]
    monkeypatch.setattr("predictor.http.protocol.time.monotonic", lambda: now[0])
    return now


def large(length: int, path: bytes = b"/batch", more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n" % (path, more, length)


def test_a_small_request_is_answered_within_the_call_that_brings_it(connection: Connection) -> None:
    assert connection.send(SMALL).endswith(PREDICTION)
    assert connection.send(SMALL * 3).count(PREDICTION) == 3
    assert connection.asked == []


def test_a_body_may_come_in_the_packet_after_its_head(connection: Connection) -> None:
    head, body = SMALL[:-16], SMALL[-16:]
    for pieces in ((head, body), (head, body[:3], body[3:]), (SMALL + head, body + SMALL)):
        answers = [connection.send(piece) for piece in pieces]
        assert b"".join(answers).count(PREDICTION) == b"".join(pieces).count(body)
        assert answers[-1].endswith(PREDICTION)
    assert connection.asked == []


def test_a_body_that_does_not_come_soon_is_waited_for_by_the_application(connection: Connection) -> None:
    assert connection.send(SMALL[:-1]) == b""
    assert connection.tend(100) == ""
    assert connection.asked == []
    assert connection.tend(101) == ""
    assert connection.send(SMALL[-1:]).endswith(b"ok")
    assert connection.asked == ["/stream"]


@pytest.mark.parametrize("end", ["eof_received", "shutdown"])
def test_what_was_kept_is_not_lost_when_the_connection_or_the_server_ends(
    connection: Connection, end: str
) -> None:
    connection.send(SMALL[:-1])
    getattr(connection.wire, end)()
    connection.send(b"")
    assert connection.asked == ["/stream"]


def test_no_more_is_kept_than_a_small_body(connection: Connection) -> None:
    connection.send(large(2000, b"/stream") + b"x" * 10)
    assert connection.asked == ["/stream"]


def test_whatever_is_not_known_goes_on_to_the_application(connection: Connection) -> None:
    assert connection.send(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").endswith(b"ok")
    assert connection.send(SMALL).endswith(PREDICTION)
    assert connection.asked == ["/x"]


def test_a_large_body_is_refused_at_its_head_while_too_many_wait_and_then_passed_over(
    connection: Connection,
) -> None:
    workers = connection.service.workers
    workers.taken = workers.places
    answer = connection.send(large(600_000) + b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in answer
    assert answer.endswith(b'{"error":"too many large requests are waiting"}')
    assert connection.pour(b"x" * 599_000) == b""
    assert connection.pour(SMALL).endswith(PREDICTION)
    assert connection.send(SMALL).endswith(PREDICTION)
    assert connection.service.metrics.rejected["busy"] == 1
    assert connection.asked == []
    workers.taken = 0
    assert connection.send(large(600_000)).endswith(b"ok")
    assert connection.asked == ["/batch"]


def test_the_same_head_behind_a_refused_body_is_refused_as_the_first_was(connection: Connection) -> None:
    workers = connection.service.workers
    workers.taken = workers.places
    whole = large(600_000) + b"x" * 600_000
    first = connection.send(whole)
    assert [connection.pour(whole) for _ in range(3)] == [first] * 3
    assert connection.service.metrics.rejected["busy"] == 4
    mixed = connection.pour(SMALL + whole)
    assert mixed.index(PREDICTION) < mixed.index(b"503")
    assert connection.pour(SMALL).endswith(PREDICTION)
    connection.send(whole)
    assert connection.tend(1000) == ""
    assert connection.pour(whole) == first
    assert connection.tend(1008) == "", "a client that is refused again and again is not idle"
    workers.taken = 0
    assert connection.pour(large(600_000)).endswith(b"ok")
    assert connection.asked == ["/batch"]


@pytest.mark.parametrize(
    "head",
    [
        large(2000),
        large(2**25 + 1),
        large(600_000, b"/stream"),
        large(600_000, more=b"expect: 100-continue\r\n"),
        large(600_000, more=b"connection: close\r\n"),
        large(600_000, more=b"ce-specversion: 1.0\r\n"),
        b"PUT" + large(600_000)[4:],
    ],
)
def test_what_is_no_plain_large_request_is_left_to_the_application_even_then(
    connection: Connection, head: bytes
) -> None:
    connection.service.workers.taken = connection.service.workers.places
    connection.send(head)
    assert len(connection.asked) == 1


def test_an_idle_connection_is_closed_after_its_time_from_the_last_answer_on(
    connection: Connection, clock: list[float]
) -> None:
    connection.send(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
    assert connection.tend(100) == ""
    assert connection.tend(105) == ""
    assert connection.tend(105.1) == "closed"


def test_a_connection_whose_answer_is_not_complete_is_not_idle(
    connection: Connection, clock: list[float]
) -> None:
    connection.wire.data_received(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
    assert connection.tend(1000) == ""
    clock[0] = 1000
    connection.send(b"")
    assert connection.tend(1004.9) == ""
    assert connection.tend(1010.1) == "closed"


def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(
    connection: Connection, clock: list[float]
) -> None:
    connection.send(b"GET /x HTTP/1.1\r\n")
    clock[0] = 101.9
    connection.send(b"a: b\r\n")
    assert connection.tend(102) == ""
    assert connection.tend(102.1) == "closed"


def test_the_rest_of_a_refused_body_is_not_waited_for(connection: Connection, clock: list[float]) -> None:
    connection.service.workers.taken = connection.service.workers.places
    connection.send(large(600_000))
    clock[0] = 102.9
    connection.send(b"x")
    assert connection.tend(103) == ""
    assert connection.tend(103.1) == "closed"


def test_a_client_that_takes_nothing_is_cut_off_but_not_one_that_is_slow(connection: Connection) -> None:
    for now in range(100, 130, 3):
        connection.transport.unsent = 1000 - now
        assert connection.tend(now) == ""
    assert connection.tend(131) == ""
    assert connection.tend(131.1) == "aborted"


def test_other_versions_of_uvicorn_take_the_asgi_way(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn, "__version__", "0.1")
    assert protocol.protocol(connection.service) == "httptools"
