"""What can go wrong with a rollout."""


class RolloutError(Exception):
    """A rollout that ended otherwise than it should; the message says how it stands now."""


class ApiError(RolloutError):
    """Kubernetes refused, or did not answer.

    Attributes:
        status: of the answer; 0 without one.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BusyError(RolloutError):
    """Another rollout is under way."""


class RefusedError(RolloutError):
    """It is not for this job to do."""


class EndedError(RolloutError):
    """Somebody told the job to end."""
