"""Bounds how many messages are read at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from predictor.errors import Overloaded, ReadTimeout

_PATIENCE_SECONDS = 1.25
"""How long a call waits for a slot: a little longer than the slowest reader keeps it from others."""

T = TypeVar("T")


class ReadSlots:
    """Slots for reading messages, first come first served.

    gRPC says how long a message is only when the whole of it is in memory. So what bounds the memory is the
    number of messages that are read at once. A reader that is slow has to give way to others.

    Args:
        count: how many messages are read at once.
        fair_seconds: how long a message may take while others wait.
        read_seconds: how long it may take otherwise.
    """

    def __init__(self, count: int, fair_seconds: float, read_seconds: float) -> None:
        self.fair_seconds = fair_seconds
        self.read_seconds = read_seconds
        self._slots = asyncio.Semaphore(count)
        self._readers: dict[asyncio.Timeout, float] = {}

    async def read(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a message once there is a slot.

        Raises:
            Overloaded: there was no slot for too long, or others waited for a slow message.
            ReadTimeout: the message did not arrive in time.
        """
        if self._slots.locked():
            await self._wait()
        else:
            await self._slots.acquire()
        timeout = asyncio.timeout(self.read_seconds)
        try:
            async with timeout:
                self._readers[timeout] = asyncio.get_running_loop().time()
                return await read()
        except TimeoutError as error:
            if timeout in self._readers:
                raise ReadTimeout(f"the message did not arrive within {self.read_seconds:g} s") from error
            raise Overloaded("the message arrived too slowly while others waited", retry_after=1) from error
        finally:
            self._readers.pop(timeout, None)
            self._slots.release()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = next(iter(self._readers.values()), loop.time())
        timer = loop.call_at(oldest + self.fair_seconds, self._refuse_oldest)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Overloaded("too many messages are being read", retry_after=1) from error
        finally:
            timer.cancel()

    def _refuse_oldest(self) -> None:
        """End the read that has taken longest, if others have waited for it long enough."""
        now = asyncio.get_running_loop().time()
        for timeout, started in self._readers.items():
            if now - started >= self.fair_seconds:
                del self._readers[timeout]
                timeout.reschedule(now)
            return
