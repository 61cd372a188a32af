"""What a connection holds in memory for a client that does not read its responses."""

import asyncio

from predictor.service.memory_budget import MemoryBudget, Reservation

_BUFFER_BYTES = 4096
"""Bytes of responses that a connection may hold before it waits for the client to read them."""


class Unread:
    """Counts against the memory budget what a connection holds: unsent responses, and requests behind them.

    Attributes:
        requests: bytes received that wait for the responses before them.
    """

    def __init__(self, budget: MemoryBudget, transport: asyncio.WriteTransport) -> None:
        self.requests = b""
        self._reservation = Reservation(budget)
        self._transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def take(self) -> bytes:
        """Return the requests that wait, and hold them no longer."""
        requests = self.requests
        self.release()
        return requests

    def count(self, *, paused: bool) -> bool:
        """Count again, after a change; ``paused``: whether more than a few responses are not sent.

        Returns:
            Whether there is memory for the requests that wait.
        """
        unsent = self._transport.get_write_buffer_size() if paused else 0
        self._reservation.hold(len(self.requests) + unsent)
        budget = self._reservation.budget
        return len(self.requests) <= _BUFFER_BYTES or budget.used <= budget.limit

    def release(self) -> None:
        """Hold nothing any more."""
        self.requests = b""
        self._reservation.release()
