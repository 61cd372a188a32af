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
    """Discards the first ``LENGTH`` bytes, again after each "again", and keeps what follows."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.released = 0
        self.begun, self.lost = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.begun.is_set():
            self.kept.append(data)
            return
        self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        self.discarder = BodyDiscarder(loop, self.transport, self.received_behind, self.read_again)
        self.discarder.discard(LENGTH - len(data))
        self.begun.set()

    def received_behind(self, data: bytes) -> None:
        self.kept.append(data)
        if data == b"again":
            self.discarder.discard(LENGTH)
        else:
            self.discarder.release()

    def read_again(self) -> None:
        self.released += 1
        self.transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self.discarder.release()
        self.lost.set()


def run(steps: Callable[[Reader, asyncio.StreamWriter], Any], loop: Any = asyncio.new_event_loop) -> Reader:
    """Run steps over a connection to a reader, and close it."""

    async def connect() -> Reader:
        reader = Reader()
        server = await asyncio.get_running_loop().create_server(lambda: reader, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with server:
            await steps(reader, writer)
            writer.close()
            await reader.lost.wait()
        return reader

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(connect())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that events of the loop make true."""
    while not condition():  # noqa: ASYNC110  no event tells it
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_transport_reads_what_is_behind_the_discarded_bytes(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def steps(reader: Reader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(LENGTH))
        await reader.begun.wait()
        await until(lambda: reader.discarder._left == 0)
        writer.write(b"again")
        await until(lambda: reader.kept == [b"again"])
        writer.write(bytes(LENGTH))
        await until(lambda: reader.discarder._left == 0)
        writer.write(b"the next request")
        await until(lambda: reader.released == 1)
        writer.write(b"and more")
        await until(lambda: len(reader.kept) == 3)

    reader = run(steps, loop)
    assert b"".join(reader.kept) == b"againthe next requestand more"
    assert reader.released == 1


@pytest.mark.parametrize("loop", LOOPS)
def test_the_transport_finds_the_end_of_an_incomplete_body(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def steps(_reader: Reader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(LENGTH // 2))

    reader = run(steps, loop)
    assert (reader.kept, reader.released) == ([], 1)


def test_can_be_released_twice() -> None:
    async def steps(reader: Reader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.begun.wait()
        reader.discarder.release()
        reader.discarder.release()
        writer.write(b"more")

    reader = run(steps)
    assert (reader.kept, reader.released) == ([b"more"], 1)
