"""A few worker threads with a short queue, for what would block the event loop.

What does not fit is refused at once, in constant time, before its body is read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from predictor.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")

LARGE = 2**22
"""Bytes that take about a millisecond to copy or to free. A thread does so with more: the event loop has to
answer others."""


async def joined(parts: list[bytes]) -> bytes:
    """Join the parts of a body, and free them."""
    return await asyncio.to_thread(_join, parts) if sum(map(len, parts)) > LARGE else _join(parts)


def _join(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    parts.clear()
    return body


def free(held: list[object]) -> None:
    """Empty a list in a thread, where its items have no other reference."""
    asyncio.get_running_loop().run_in_executor(None, held.clear)


class BoundedExecutor:
    """Threads for what would block the event loop, with a bounded queue.

    Args:
        threads: how many requests are computed at once.
        queue: how many more may wait.
        queue_bytes: bytes of all bodies that are computed or wait, if there is more than one.
        seconds: how long a response may take.
    """

    def __init__(self, threads: int, queue: int, queue_bytes: int, seconds: float) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="answer")
        self.capacity = threads + queue
        self.capacity_bytes = queue_bytes
        self.seconds = seconds
        self.jobs = 0
        self.bytes = 0

    def check(self, size: int) -> None:
        """Check that there is room for a body of ``size`` bytes; a sole one may have any size.

        Raises:
            Overloaded: there is no room.
        """
        if self.jobs >= self.capacity or (self.jobs and self.bytes + size > self.capacity_bytes):
            raise Overloaded("too many large requests are waiting", retry_after=1)

    async def run(self, work: Callable[[], T], size: int) -> T:
        """Run ``work`` on a body of ``size`` bytes in a thread.

        It is accepted even if the queue is full. There was room before its body was read, reading it has cost
        time, and the memory budget bounds it.

        Raises:
            DeadlineExceeded: it took too long; its place stays taken until the thread is done.
        """
        self.jobs += 1
        self.bytes += size
        job = _Job(work)
        future = asyncio.get_running_loop().run_in_executor(self.pool, job)
        future.add_done_callback(partial(self._release, size))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.seconds)
        except TimeoutError as error:
            raise DeadlineExceeded(f"the response took longer than {self.seconds:g} s") from error
        finally:
            job.work = None

    def _release(self, size: int, future: "asyncio.Future[T]") -> None:
        self.jobs -= 1
        self.bytes -= size
        if not future.cancelled():
            future.exception()  # retrieved, since nobody waits for it after a deadline


class _Job(Generic[T]):
    """Work that waits for a thread. It can be dropped, with all that it holds, before a thread starts it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work: Callable[[], T] | None = work

    def __call__(self) -> T:
        work, self.work = self.work, None
        if work is None:
            raise DeadlineExceeded("nobody waits for the response any more")
        return work()
