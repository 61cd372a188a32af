"""The clock of a rollout, through which a job is also stopped."""

import time

from components.operations.rollout.errors import EndedError


class Clock:
    """The machine's clock; it ends a job that is asked to stop, at its next pause.

    A job therefore never stops in the middle of a write, whose outcome would be unknown.
    """

    def __init__(self) -> None:
        self._ended = False

    def now(self) -> float:
        """Return the seconds since the epoch. Jobs on other machines compare them."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, and stop the job if `end` was called.

        Raises:
            EndedError: `end` was called.
        """
        time.sleep(seconds)
        if self._ended:
            raise EndedError("stopped by a signal; the next run resumes the rollout")

    def end(self) -> None:
        """Stop the job at its next pause."""
        self._ended = True
