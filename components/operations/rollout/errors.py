"""Errors of a rollout."""


class RolloutError(Exception):
    """A rollout failed; the message says why and what is served now."""


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
    """This job may not do it."""


class EndedError(RolloutError):
    """The job was stopped by a signal."""
