"""How long a connection may keep the server waiting."""

import time
from enum import Enum, auto

from predictor.settings import Settings


class Phase(Enum):
    """What the next byte of a connection belongs to."""

    BETWEEN = auto()
    """The next request."""
    HEAD = auto()
    BODY = auto()
    REFUSED = auto()
    """A body that was refused, and is discarded."""
    CLOSING = auto()
    """Whatever the client still sends; it is discarded, and the connection is about to be closed."""


class Timers:
    """The times of one connection, checked once a second: a timer for each request would cost more.

    Attributes:
        received: whether bytes were received since the last check; cheaper than to read the clock.
        head_since: when the head began to arrive that is not complete yet.
        answered: when the last response was complete.
    """

    def __init__(self, settings: Settings, keep_alive: float) -> None:
        self._settings = settings
        self._keep_alive = keep_alive
        self.received = False
        self._active = self.head_since = self.answered = time.monotonic()
        self._unsent, self._unsent_since = 0, 0.0

    def stuck(self, now: float, unsent: int) -> bool:
        """Return whether the client has read nothing of its response for too long.

        Args:
            now: the time.
            unsent: bytes of responses that wait to be sent.
        """
        if unsent != self._unsent or not unsent:
            self._unsent, self._unsent_since = unsent, now
        return now - self._unsent_since > self._settings.write_seconds

    def expired(self, now: float, phase: Phase, *, answered: bool) -> bool:
        """Return whether the client has let the server wait for too long.

        Args:
            now: the time.
            phase: what is waited for.
            answered: whether all requests are answered, perhaps before their bodies are complete.
        """
        if self.received:
            self.received, self._active = False, now
        if phase is Phase.HEAD:
            return now - self.head_since > self._settings.head_seconds
        if not answered or phase is Phase.CLOSING:
            return False
        if phase is Phase.BETWEEN:
            return now - max(self._active, self.answered) > self._keep_alive
        return now - self.answered > self._settings.read_seconds
