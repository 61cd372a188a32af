"""Bounds how many messages are read at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from predictor.errors import Overloaded, ReadTimeout

_LONGEST_WAIT_SECONDS = 1.25
"""How long a call waits for a slot: a little longer than a slow reader may occupy one."""
_CHECK_SECONDS = 0.05

T = TypeVar("T")


class ReadSlots:
    """Slots for reading messages, first come first served.

    gRPC says how long a message is only when the whole of it is in memory. So what bounds the memory is how
    many messages are read at once, and for how long.

    Args:
        few: how many messages may take as long as ``read_seconds``. If more are read, or wait to be, the
            oldest end after ``fair_seconds``.
        most: how many messages are read at once.
        fair_seconds: how long a message may take while there are more than a few.
        read_seconds: how long it may take otherwise.
    """

    def __init__(self, few: int, most: int, fair_seconds: float, read_seconds: float) -> None:
        self.few = few
        self.fair_seconds = fair_seconds
        self.read_seconds = read_seconds
        self._slots = asyncio.Semaphore(most)
        self._waiting = 0
        self._readers: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a message once there is a slot.

        Raises:
            Overloaded: there was no slot for too long, or others waited for a slow message.
            ReadTimeout: the message did not arrive in time.
        """
        await (self._wait() if self._slots.locked() else self._slots.acquire())
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task  # noqa: S101  for the types
        self._readers[task] = started = loop.time()
        # One timer looks after all readers: a timer for each would cost a tenth of a short call.
        self._timer = self._timer or loop.call_later(_CHECK_SECONDS, self._end_slow_reads)
        try:
            return await read()
        except asyncio.CancelledError:
            if task in self._readers or task.uncancel():  # the client is gone
                raise
            if loop.time() - started >= self.read_seconds:
                raise ReadTimeout(f"the message did not arrive within {self.read_seconds:g} s") from None
            raise Overloaded("the message arrived too slowly while others waited", retry_after=1) from None
        finally:
            self._readers.pop(task, None)
            self._slots.release()

    async def _wait(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Overloaded("too many messages are being read", retry_after=1) from error
        finally:
            self._waiting -= 1

    def _end_slow_reads(self) -> None:
        """End the reads that took too long, and as many as others wait for of those that take long."""
        loop = asyncio.get_running_loop()
        now, surplus = loop.time(), self._waiting + len(self._readers) - self.few
        for task, started in list(self._readers.items()):
            age = now - started
            if age < self.read_seconds and (age < self.fair_seconds or surplus <= 0):
                break
            del self._readers[task]
            task.cancel()
            surplus -= 1
        self._timer = loop.call_later(_CHECK_SECONDS, self._end_slow_reads) if self._readers else None
