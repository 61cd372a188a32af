"""Reading messages: how many at once, for how long, and in which order."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from predictor.errors import Overloaded, PredictorError, ReadTimeout
from predictor.grpc import slots
from predictor.grpc.slots import ReadSlots

LONG = 3600.0
"""Seconds; longer than any test."""


class Messages:
    """Messages that arrive when the test says so."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.reading = 0

    async def read(self) -> str:
        self.reading += 1
        try:
            await self.arrived.wait()
            return "message"
        finally:
            self.reading -= 1


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(steps: Callable[[Messages], Awaitable[None]]) -> None:
    async def start() -> None:
        await steps(Messages())

    asyncio.run(start())


def test_reads_as_many_messages_at_once_as_there_are_slots() -> None:
    async def steps(messages: Messages) -> None:
        large = ReadSlots(2, lambda: 2, LONG, LONG)
        tasks = [asyncio.create_task(large.read(messages.read)) for _ in range(5)]
        await settle()
        assert messages.reading == 2
        messages.arrived.set()
        assert await asyncio.gather(*tasks) == ["message"] * 5
        assert messages.reading == 0

    run(steps)


def test_fewer_messages_are_read_at_once_while_fewer_may_be() -> None:
    async def steps(messages: Messages) -> None:
        most = 3
        large = ReadSlots(9, lambda: most, LONG, LONG)
        reading = [asyncio.create_task(large.read(messages.read)) for _ in range(3)]
        await settle()
        most = 1
        waiting = [asyncio.create_task(large.read(messages.read)) for _ in range(3)]
        await settle()
        reading[0].cancel()  # two are read, which is one too many for the next
        await settle()
        assert messages.reading == 2
        reading[1].cancel()
        reading[2].cancel()
        await settle()
        assert messages.reading == 1
        messages.arrived.set()
        assert await asyncio.gather(*waiting) == ["message"] * 3

    run(steps)


def test_the_oldest_reader_gives_way_to_one_that_waits() -> None:
    async def steps(messages: Messages) -> None:
        large = ReadSlots(2, lambda: 2, 0, LONG)
        tasks = [asyncio.create_task(large.read(messages.read)) for _ in range(3)]
        with pytest.raises(Overloaded, match="the message arrived too slowly while others waited"):
            await tasks[0]
        await settle()
        assert messages.reading == 2
        messages.arrived.set()
        assert await asyncio.gather(*tasks[1:]) == ["message"] * 2

    run(steps)


def test_readers_that_nobody_waits_for_may_take_long() -> None:
    async def steps(messages: Messages) -> None:
        large = ReadSlots(2, lambda: 2, 0, LONG)
        tasks = [asyncio.create_task(large.read(messages.read)) for _ in range(2)]
        await asyncio.sleep(3 * slots._CHECK_SECONDS)
        messages.arrived.set()
        assert await asyncio.gather(*tasks) == ["message"] * 2

    run(steps)


def test_small_messages_are_read_at_once_and_the_oldest_end_while_there_are_more_than_a_few() -> None:
    async def steps(messages: Messages) -> None:
        small = ReadSlots(2, lambda: 100, 0, LONG)
        silent = [asyncio.create_task(small.read(messages.read)) for _ in range(50)]
        await settle()
        assert messages.reading == 50
        assert await small.read(lambda: asyncio.sleep(0, "honest")) == "honest"
        ended = await asyncio.gather(*silent[:48], return_exceptions=True)
        assert {type(error) for error in ended} == {Overloaded}
        messages.arrived.set()
        assert await asyncio.gather(*silent[48:]) == ["message"] * 2

    run(steps)


def test_a_message_that_does_not_arrive_in_time_is_not_waited_for() -> None:
    async def steps(messages: Messages) -> None:
        with pytest.raises(ReadTimeout, match=r"the message did not arrive within 0\.01 s"):
            await ReadSlots(2, lambda: 2, LONG, 0.01).read(messages.read)
        assert messages.reading == 0

    run(steps)


def test_a_call_waits_for_a_slot_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_LONGEST_WAIT_SECONDS", 0.01)

    async def steps(messages: Messages) -> None:
        large = ReadSlots(1, lambda: 1, LONG, LONG)
        first = asyncio.create_task(large.read(messages.read))
        await settle()
        with pytest.raises(Overloaded, match="too many messages are being read") as caught:
            await large.read(messages.read)
        assert caught.value.headers == ((b"retry-after", b"1"),)
        messages.arrived.set()
        assert await first == "message"

    run(steps)


def test_a_slot_goes_to_the_next_when_the_first_to_wait_gives_up() -> None:
    async def steps(messages: Messages) -> None:
        large = ReadSlots(1, lambda: 1, LONG, LONG)
        tasks = [asyncio.create_task(large.read(messages.read)) for _ in range(4)]
        await settle()
        messages.arrived.set()
        tasks[1].cancel()  # while it waits
        await tasks[0]
        tasks[2].cancel()  # when it has its turn
        assert await tasks[3] == "message"
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert messages.reading == 0
        assert await large.read(messages.read) == "message"

    run(steps)


def test_calls_get_slots_in_the_order_in_which_they_came() -> None:
    async def steps(_messages: Messages) -> None:
        large, order = ReadSlots(2, lambda: 2, LONG, LONG), list[int]()

        async def read(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*(large.read(partial(read, number)) for number in range(9)))
        assert order == list(range(9))

    run(steps)


@pytest.mark.parametrize("kind", [asyncio.CancelledError, PredictorError])
def test_a_reader_that_ends_early_gives_its_slot_back(kind: type[BaseException]) -> None:
    async def fail() -> str:
        raise kind

    async def steps(messages: Messages) -> None:
        large = ReadSlots(1, lambda: 1, LONG, LONG)
        for _ in range(3):
            with pytest.raises(kind):
                await large.read(fail)
        messages.arrived.set()
        assert await large.read(messages.read) == "message"

    run(steps)
