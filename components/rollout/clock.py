"""Time, as far as rollouts need it; tests bring their own."""

import time


class Clock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch: what is written down is compared by others."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
