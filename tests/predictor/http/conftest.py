"""One connection of the server's protocol, on a transport that records what is written."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from predictor.endpoints.routing import Routes
from predictor.http.protocol import FastProtocol, make_protocol
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.kinds.linear import LinearModel
from predictor.service.auth import Authorizer
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from predictor.web.site import Site
from tests.support.http import head, post

MakeService = Callable[..., InferenceService]

SMALL = post("/stream", b'{"instance":0.5}')
PREDICTION = b'{"prediction":621.625}'
UNKNOWN = head("/x", method="GET")
BUSY = b'{"error":"too many large requests are waiting"}'


def large_head(length: int, path: str = "/batch", method: str = "POST", **fields: str) -> bytes:
    return head(path, {**fields, "content-length": str(length)}, method=method)


class Transport:
    """Records what is written, and how it is closed.

    Attributes:
        unsent: bytes that the client has not taken.
        paused: whether the protocol has stopped reading.
        finished: whether the sending direction is closed.
        closed: how the transport was closed; empty while it is open.
    """

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.limit = 2**16
        self.paused = self.finished = False
        self.closed = ""
        self.socket, self.client = socket.socketpair()
        self.socket.setblocking(False)
        self.client.setblocking(False)

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.socket, "peername": ("10.0.0.1", 1234)}.get(name)

    def write(self, data: bytes) -> None:
        assert not self.finished
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"

    def is_closing(self) -> bool:
        return bool(self.closed)

    def set_write_buffer_limits(self, high: int) -> None:
        self.limit = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Connection:
    """A connection, and ways to send over it.

    Attributes:
        asked: the paths that reached the application.
        application: answers them; one that ignores bodies and says "ok" by default.
    """

    def __init__(
        self, service: InferenceService, loop: asyncio.AbstractEventLoop, state: ServerState | None = None
    ) -> None:
        self.asked: list[str] = []
        self.service = service
        self.loop = loop
        self.transport = Transport()
        self.application: Any = self.say_ok
        made: Any = make_protocol(service, Routes(service, Site(service.handle, "off", feedback=False)))
        config = uvicorn.Config(
            self.ask, http=made, interface="asgi3", log_config=None, timeout_keep_alive=5, proxy_headers=False
        )
        self.state = state or ServerState()
        self.protocol: FastProtocol = made(config, self.state, {}, loop)
        self.protocol.connection_made(self.transport)

    async def ask(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await self.application(scope, receive, send)

    async def say_ok(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def send(self, *packets: bytes) -> bytes:
        """Hand packets to the protocol; returns what it writes until it is idle."""
        self.transport.written = b""
        for packet in packets:
            self.protocol.data_received(packet)
            self.run()
        return self.transport.written

    def send_to_socket(self, data: bytes) -> bytes:
        """Send bytes into the socket, past the transport; returns what is written meanwhile."""
        self.transport.written = b""
        while data:
            data = data[self.transport.client.send(data) :]
            self.run()
        return self.transport.written

    def run(self) -> None:
        """Run what is ready on the event loop, until nothing more is written."""
        before = -1
        while before < (before := len(self.transport.written)):
            self.loop.run_until_complete(_turn_often())

    def stop_reading(self) -> None:
        """Let the client take nothing more, and more wait than the transport allows."""
        self.transport.unsent = self.transport.limit + 1
        self.protocol.pause_writing()

    def read(self) -> None:
        """Let the client take everything."""
        self.transport.unsent = 0
        self.protocol.resume_writing()
        self.run()

    def closed_at(self, now: float) -> str:
        """Check the timers at a time; returns how the transport is closed then."""
        self.protocol.check_timers(now)
        return self.transport.closed


async def _turn_often() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


Connect = Callable[..., Connection]


def fill_queue(connection: Connection) -> None:
    connection.service.executor.jobs = connection.service.executor.capacity


async def never(_scope: Any, receive: Any, _send: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(_scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def make_service(one_feature: LinearModel) -> Iterator[MakeService]:
    """Return a function that makes a service with some settings."""
    made: list[InferenceService] = []

    def make(authorizer: Authorizer | None = None, recorder: Any = None, **settings: Any) -> InferenceService:
        handle = ModelHandle("linear-regressor", Path("models/7"))
        handle.loaded = LoadedModel(one_feature, "digest", 0.0)
        made.append(InferenceService(handle, Settings(**settings), authorizer, recorder))
        return made[-1]

    yield make
    for service in made:
        service.executor.pool.shutdown()


@pytest.fixture
def connect(make_service: MakeService) -> Iterator[Callable[..., Connection]]:
    """Return a function that opens a connection to a service with some settings."""
    loop = uvloop.new_event_loop()
    opened = []

    def open_connection(
        service: InferenceService | None = None, state: ServerState | None = None, **settings: Any
    ) -> Connection:
        opened.append(Connection(service or make_service(**settings), loop, state))
        return opened[-1]

    yield open_connection
    for connection in opened:
        connection.protocol.connection_lost(None)
        connection.run()
        connection.transport.socket.close()
        connection.transport.client.close()
    loop.close()


@pytest.fixture
def connection(connect: Callable[..., Connection]) -> Connection:
    return connect(head_seconds=2, read_seconds=3, write_seconds=4)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now
