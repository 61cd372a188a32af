"""Discarding received bytes, on real sockets."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from predictor.http.body_discarder import BodyDiscarder

LOOPS = (uvloop.new_event_loop, asyncio.new_event_loop)
LENGTH = 3_000_000


class Reader(asyncio.Protocol):
    """Discards the first ``LENGTH`` bytes through a sink, and keeps what follows."""

    def __init__(self) -> None:
        self.kept = b""
        self.done = False
        self.begun, self.lost = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.begun.is_set():
            self.kept += data
        else:
            loop = asyncio.get_running_loop()
            self.sink = BodyDiscarder(loop, self.transport, self.data_received, self.finished)
            self.sink.take(LENGTH - len(data))
            self.begun.set()

    def finished(self) -> None:
        self.done = True

    def connection_lost(self, _error: Exception | None) -> None:
        self.sink.release()
        self.lost.set()


async def connect() -> tuple[Reader, asyncio.Server, asyncio.StreamWriter]:
    reader = Reader()
    server = await asyncio.get_running_loop().create_server(lambda: reader, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    return reader, server, writer


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("sent", "done", "kept"),
    [(bytes(LENGTH) + b"the next request", True, b"the next request"), (bytes(LENGTH // 2), False, b"")],
)
def test_bytes_after_the_discarded_ones_are_read_normally(
    loop: Callable[[], asyncio.AbstractEventLoop], sent: bytes, done: bool, kept: bytes
) -> None:
    async def run() -> None:
        reader, server, writer = await connect()
        async with server:
            writer.write(sent)
            writer.close()
            await reader.lost.wait()
            assert (reader.done, reader.kept) == (done, kept)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def test_release_is_idempotent_and_returns_the_socket_to_the_transport() -> None:
    async def run() -> None:
        reader, server, writer = await connect()
        async with server:
            writer.write(b"x")
            await reader.begun.wait()
            reader.sink.release()
            reader.sink.release()
            writer.write(b"more")
            writer.close()
            await reader.lost.wait()
            assert (reader.done, reader.kept) == (False, b"more")

    asyncio.run(run())
