"""The budget of memory that the requests in progress share.

What does not fit is refused at once, in constant time, before its body is read.
"""

from predictor.errors import OutOfMemory


class MemoryBudget:
    """The bytes that the bodies in progress may take, requests and responses together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def check(self, size: int) -> None:
        """Check that ``size`` more bytes fit. 0 bytes always do: a probe has no body.

        Raises:
            OutOfMemory: they do not.
        """
        if size and self.used + size > self.limit:
            raise OutOfMemory("the requests in progress use the whole memory budget", retry_after=1)


class Reservation:
    """What one request takes of the memory budget, until it is released."""

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Reserve ``size`` more bytes.

        Raises:
            OutOfMemory: they do not fit.
        """
        self.budget.check(size)
        self.hold(self.size + size)

    def hold(self, size: int) -> None:
        """Count ``size`` bytes that exist already instead of what was counted.

        They may be more than fit: a response is not thrown away once it is computed.
        """
        self.budget.used += size - self.size
        self.size = size

    def release(self) -> None:
        """Give everything back."""
        self.hold(0)
