"""Time, as far as rollouts need it; tests bring their own."""

import time

from components.operations.rollout.errors import EndedError


class Clock:
    """The machine's clock, and whether there is time left.

    Being told to end is heeded where somebody waits, and so in the middle of no write: one whose outcome is
    not known could not be taken back.
    """

    def __init__(self) -> None:
        self._ended = False

    def now(self) -> float:
        """Seconds since the epoch: what is written down is compared by others."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            EndedError: somebody said that it is to end.
        """
        time.sleep(seconds)
        if self._ended:
            raise EndedError("told to end: this one stops here, and the next run goes on")

    def end(self) -> None:
        """Say that it is to end."""
        self._ended = True
