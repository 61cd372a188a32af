"""A bounded buffer between requests, which never wait, and a store, which may be slow, full or away."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_LARGEST = 2**23
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

logger = logging.getLogger(__name__)


class BatchWriter(Generic[T]):
    """Items that wait to be written, and the thread that writes them.

    A batch is written once it is old or large enough. One that can't be written is tried again, with growing
    pauses, while new items wait behind it up to the limit; beyond that they are not taken.

    Attributes:
        size: bytes that wait, those being written included.
        taken: items taken so far.
        refused: items that were not taken, for want of room.
        failures: attempts to write that failed.
    """

    def __init__(self, name: str, write: Callable[[list[T]], None], limit: int, seconds: float) -> None:
        """Start the thread.

        Args:
            name: of what is written, for the log.
            write: writes a batch, whole or not at all, or raises.
            limit: bytes that may wait.
            seconds: how long an item may wait before it is written.
        """
        self.name = name
        self.limit = limit
        self.seconds = seconds
        self.size = self.taken = self.refused = self.failures = 0
        self._write = write
        self._waiting: list[T] = []
        self._fresh = 0
        self._oldest = 0.0
        self._ends: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"write {name}", daemon=True)
        self._thread.start()

    def offer(self, item: T, size: int) -> bool:
        """Take an item of about ``size`` bytes, in constant time; False where there is no room for it."""
        with self._changed:
            if self._ends is not None or self.size + size > self.limit:
                self.refused += 1
                return False
            if not self._waiting:
                self._oldest = time.monotonic()
                self._changed.notify()
            self._waiting.append(item)
            self.taken += 1
            self.size += size
            self._fresh += size
            if self._fresh >= _LARGEST:
                self._changed.notify()
            return True

    def close(self, seconds: float) -> int:
        """Write what waits, for so long at the most; returns how many items were not written."""
        with self._changed:
            self._ends = time.monotonic() + seconds
            self._changed.notify()
        self._thread.join(seconds)
        left = len(self._waiting)
        if left:
            logger.error("%d items of %s were not stored before the end", left, self.name)
        return left

    def _run(self) -> None:
        while self._due():
            with self._changed:
                batch, size, self._fresh = list(self._waiting), self.size, 0
            if not self._written(batch):
                return
            with self._changed:
                del self._waiting[: len(batch)]
                self.size -= size
                self._oldest = time.monotonic()

    def _due(self) -> bool:
        """Wait until there is something to write; False when all is done."""
        with self._changed:
            while self._ends is None:
                if not self._waiting:
                    self._changed.wait()
                    continue
                left = self._oldest + self.seconds - time.monotonic()
                if left <= 0 or self._fresh >= _LARGEST:
                    return True
                self._changed.wait(left)
            return bool(self._waiting)

    def _written(self, batch: list[T]) -> bool:
        """Write a batch, however often it takes; False when there was no more time to try."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001  whatever a store raises, its items wait
                self.failures += 1
                logger.warning("%s can't be stored, and wait: %s", self.name, error)
            else:
                return True
            with self._changed:
                if self._ends is None:
                    self._changed.wait(pause)
                elif time.monotonic() + pause < self._ends:
                    self._changed.wait(min(pause, _FIRST_PAUSE))
                else:
                    return False
            pause = min(2 * pause, _LONGEST_PAUSE)
