"""How much may be done at once: large answers in a few threads with a short queue, and a bound on memory.

What can't be taken on is refused at once, in constant time, before its body is read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from predictor.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")


class Overloaded(Unavailable):
    """Too many large requests are waiting already."""


class OutOfMemory(Unavailable):
    """The bodies under way take all the memory they may."""


class BoundedExecutor:
    """Threads for what would keep the event loop too long."""

    def __init__(self, threads: int, queue: int, queue_bytes: int, seconds: float) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="answer")
        self.places = threads + queue
        self.taken = 0
        self.most_bytes = queue_bytes
        self.bytes = 0
        self.seconds = seconds

    def check(self, size: int) -> None:
        """Tell whether there is a place for a body; the first may have any size.

        Raises:
            Overloaded: there is none.
        """
        if self.taken >= self.places or (self.taken and self.bytes + size > self.most_bytes):
            raise Overloaded("too many large requests are waiting", retry_after=1)

    async def run(self, work: Callable[[], T], size: int) -> T:
        """Do ``work`` on a body of some bytes in a thread.

        It is taken on even where there is no place any more: what arrived while there was one has cost its
        reading, and is bounded by the memory that bodies may take.

        Raises:
            DeadlineExceeded: it took too long; its place is kept until it ends.
        """
        self.taken += 1
        self.bytes += size
        job = _Job(work)
        future = asyncio.get_running_loop().run_in_executor(self.pool, job)
        future.add_done_callback(partial(self._free, size))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.seconds)
        except TimeoutError as error:
            job.work = None
            raise DeadlineExceeded(f"the answer took longer than {self.seconds:g} s") from error

    def _free(self, size: int, future: "asyncio.Future[T]") -> None:
        self.taken -= 1
        self.bytes -= size
        if not future.cancelled():
            future.exception()  # after a deadline nobody else asks for it


class _Job(Generic[T]):
    """Work that waits for a thread, and can be dropped, with all it holds, before one takes it up."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work: Callable[[], T] | None = work

    def __call__(self) -> T:
        work, self.work = self.work, None
        if work is None:
            raise DeadlineExceeded("nobody waits for the answer any more")
        return work()


class MemoryBudget:
    """The bytes that bodies may take, requests and answers together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def check(self, size: int) -> None:
        """Tell whether ``size`` more bytes may come.

        Raises:
            OutOfMemory: they may not.
        """
        if self.taken + size > self.limit:
            raise OutOfMemory("the requests under way take all the memory they may", retry_after=1)


class Reservation:
    """What one request takes of the memory; given back when the request ends."""

    def __init__(self, memory: MemoryBudget) -> None:
        self.memory = memory
        self.size = 0

    def grow(self, size: int) -> None:
        """Take ``size`` bytes more.

        Raises:
            OutOfMemory: there are none left.
        """
        self.memory.check(size)
        self.hold(size)

    def hold(self, size: int) -> None:
        """Take ``size`` bytes that are there already: an answer is not thrown away once it is made."""
        self.memory.taken += size
        self.size += size

    def release(self) -> None:
        """Give everything back."""
        self.memory.taken -= self.size
        self.size = 0
