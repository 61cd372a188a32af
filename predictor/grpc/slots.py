"""Bounds how many messages are read at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
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
        most: returns how many messages may be read at once now, at least 1.
        fair_seconds: how long a message may take while there are more than a few.
        read_seconds: how long it may take otherwise.
    """

    def __init__(self, few: int, most: Callable[[], int], fair_seconds: float, read_seconds: float) -> None:
        self.few = few
        self.fair_seconds = fair_seconds
        self.read_seconds = read_seconds
        self.most = most
        self._queue: deque[asyncio.Future[None]] = deque()
        self._readers: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read a message once there is a slot.

        Raises:
            Overloaded: there was no slot for too long, or others waited for a slow message.
            ReadTimeout: the message did not arrive in time.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task  # noqa: S101  for the types
        try:
            if self._queue or len(self._readers) >= self.most():
                await self._wait(loop.create_future())
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
                raise Overloaded(
                    "the message arrived too slowly while others waited", retry_after=1
                ) from None
        finally:
            self._readers.pop(task, None)
            if self._queue:
                self._admit()

    async def _wait(self, turn: "asyncio.Future[None]") -> None:
        self._queue.append(turn)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await turn
        except TimeoutError as error:
            raise Overloaded("too many messages are being read", retry_after=1) from error
        finally:
            self._queue.remove(turn)

    def _admit(self) -> None:
        """Let the first in the queue read, as many as there are slots."""
        for turn in islice(self._queue, max(0, self.most() - len(self._readers))):
            if not turn.done():
                turn.set_result(None)

    def _end_slow_reads(self) -> None:
        """End the reads that took too long, and as many as others wait for of those that take long."""
        loop = asyncio.get_running_loop()
        now, surplus = loop.time(), len(self._queue) + len(self._readers) - self.few
        for task, started in list(self._readers.items()):
            age = now - started
            if age < self.read_seconds and (age < self.fair_seconds or surplus <= 0):
                break
            del self._readers[task]
            task.cancel()
            surplus -= 1
        self._timer = loop.call_later(_CHECK_SECONDS, self._end_slow_reads) if self._readers else None
