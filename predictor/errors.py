# ruff: noqa: N818 - named for what they tell a client, as KServe names its own
"""What can go wrong with a request: one small hierarchy, with the HTTP status on the class.

A message says what was wrong and where, in the client's own terms; it never holds a stack trace.
"""

from typing import ClassVar

Headers = tuple[tuple[bytes, bytes], ...]


class PredictorError(Exception):
    """A request that gets no prediction; its message goes to the client."""

    status: ClassVar[int] = 500

    @property
    def headers(self) -> Headers:
        """Headers that the answer needs beside its status."""
        return ()


class InvalidInput(PredictorError):
    """What was sent is malformed, or means nothing to this model."""

    status = 400


class Unauthorized(PredictorError):
    """No credential, or one that is not known."""

    status = 401

    @property
    def headers(self) -> Headers:
        """What kind of credential is wanted."""
        return ((b"www-authenticate", b"Bearer"),)


class Forbidden(PredictorError):
    """A credential that is known, but not good for this."""

    status = 403


class NotFound(PredictorError):
    """No such model, version or page."""

    status = 404


class MethodNotAllowed(PredictorError):
    """The path exists, but not with this method."""

    status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"method {method} is not allowed here, only {allowed}")
        self.allowed = allowed

    @property
    def headers(self) -> Headers:
        """The methods that would do."""
        return ((b"allow", self.allowed.encode()),)


class NotAcceptable(PredictorError):
    """The answer can't be given in any of the kinds the client accepts."""

    status = 406


class ReadTimeout(PredictorError):
    """The body took too long to arrive."""

    status = 408


class TooLarge(PredictorError):
    """The body, or what it becomes when it is decompressed, is beyond the limit."""

    status = 413


class UnsupportedMedia(PredictorError):
    """A content type or content encoding that is not known here."""

    status = 415


class Unavailable(PredictorError):
    """Not now: the model is not ready, or there is too much to do. Trying again may help."""

    status = 503

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> Headers:
        """When to try again, if that is known."""
        return () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)


class DeadlineExceeded(PredictorError):
    """The answer was not ready in the time an answer may take."""

    status = 504
