"""A bounded buffer between requests, which never wait, and a store, which may be slow or unavailable."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_BATCH_BYTES = 2**23
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

logger = logging.getLogger(__name__)


class BatchWriter(Generic[T]):
    """Collects items and writes them in batches, in a thread.

    A batch is written once it is old or large enough. If that fails, it is tried again after growing pauses,
    while further items wait up to the limit. Items beyond the limit are rejected.

    Attributes:
        size: bytes of the items that wait, including those being written.
        accepted: how many items were accepted.
        rejected: how many items were not.
        failures: how many attempts to write failed.
    """

    def __init__(self, name: str, write: Callable[[list[T]], None], limit: int, seconds: float) -> None:
        """Start the thread.

        Args:
            name: what is written, for logs and metrics.
            write: writes a whole batch, or raises and writes nothing.
            limit: bytes that may wait.
            seconds: how long an item may wait before it is written.
        """
        self.name = name
        self.limit = limit
        self.seconds = seconds
        self.size = self.accepted = self.rejected = self.failures = 0
        self._write = write
        self._waiting: list[T] = []
        self._new_bytes = 0
        self._waiting_since = 0.0
        self._close_deadline: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"write {name}", daemon=True)
        self._thread.start()

    def offer(self, item: T, size: int) -> bool:
        """Accept an item of about ``size`` bytes if there is room, in constant time; returns whether."""
        with self._changed:
            if self._close_deadline is not None or self.size + size > self.limit:
                self.rejected += 1
                return False
            if not self._waiting:
                self._waiting_since = time.monotonic()
                self._changed.notify()
            self._waiting.append(item)
            self.accepted += 1
            self.size += size
            self._new_bytes += size
            if self._new_bytes >= _BATCH_BYTES:
                self._changed.notify()
            return True

    def reject(self) -> None:
        """Count an item that is not offered."""
        with self._changed:
            self.rejected += 1

    def close(self, seconds: float) -> int:
        """Write the items that wait, for at most ``seconds``; returns how many were not written."""
        with self._changed:
            self._close_deadline = time.monotonic() + seconds
            self._changed.notify()
        self._thread.join(seconds)
        left = len(self._waiting)
        if left:
            logger.error("lost %d %s: not stored before the end", left, self.name)
        return left

    def _run(self) -> None:
        while self._wait_for_batch():
            with self._changed:
                batch, size, self._new_bytes = list(self._waiting), self.size, 0
            if not self._write_until_stored(batch):
                return
            with self._changed:
                del self._waiting[: len(batch)]
                self.size -= size
                self._waiting_since = time.monotonic()

    def _wait_for_batch(self) -> bool:
        """Wait until a batch is due; returns False if the writer is closed and nothing waits."""
        with self._changed:
            while self._close_deadline is None:
                if not self._waiting:
                    self._changed.wait()
                    continue
                left = self._waiting_since + self.seconds - time.monotonic()
                if left <= 0 or self._new_bytes >= _BATCH_BYTES:
                    return True
                self._changed.wait(left)
            return bool(self._waiting)

    def _write_until_stored(self, batch: list[T]) -> bool:
        """Try to write a batch until it succeeds; returns False if the writer was closed before that."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001  a store may raise anything
                self.failures += 1
                logger.warning("could not store %s, will retry: %s", self.name, error)
            else:
                return True
            with self._changed:
                if self._close_deadline is None:
                    self._changed.wait(pause)
                elif time.monotonic() + pause < self._close_deadline:
                    self._changed.wait(min(pause, _FIRST_PAUSE))
                else:
                    return False
            pause = min(2 * pause, _LONGEST_PAUSE)
