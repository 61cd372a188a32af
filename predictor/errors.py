# ruff: noqa: N818 - named for what they mean to a client, as KServe names its own
"""Errors that a client sees: one hierarchy, with the HTTP status and the gRPC code on the class.

A message says what was wrong and where, in the client's terms. It never holds a stack trace.
"""

from typing import ClassVar

HeaderFields = tuple[tuple[bytes, bytes], ...]


class CannotListen(Exception):
    """A port is in use or not permitted; the log says which, and why."""


class PredictorError(Exception):
    """A request that gets no prediction; its message goes to the client.

    Attributes:
        status: the HTTP status.
        grpc_code: the name of the gRPC status code.
        reason: the label of ``predictor_rejections_total``; empty for what is not counted there.
        kind: the label of ``predictor_invalid_input_total``; empty for what is not counted there.
        headers: header fields of the response beside its status.
    """

    status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    headers: HeaderFields = ()


class InternalError(PredictorError):
    """A fault of our own. The client gets no details; the log has them."""

    def __init__(self) -> None:
        super().__init__("internal error")


class InvalidInput(PredictorError):
    """A request that is malformed, or does not fit the model."""

    status = 400
    grpc_code = "INVALID_ARGUMENT"
    kind = "malformed"


class WrongType(InvalidInput):
    """A value of another type than its input's."""

    kind = "type"


class MissingValue(InvalidInput):
    """A missing value where the model was trained without them."""

    kind = "missing"


class UnknownCategory(InvalidInput):
    """A category that the model does not know, where it was trained to refuse such."""

    kind = "unknown_category"


class NotFinite(InvalidInput):
    """A number, or a prediction, that is not finite."""

    kind = "not_finite"


class Unauthorized(PredictorError):
    """A missing or unknown credential."""

    status = 401
    grpc_code = "UNAUTHENTICATED"
    reason = "unauthorized"
    headers = ((b"www-authenticate", b"Bearer"),)


class Forbidden(PredictorError):
    """A known credential without the scope that is needed."""

    status = 403
    grpc_code = "PERMISSION_DENIED"
    reason = "forbidden"


class NotFound(PredictorError):
    """An unknown model, version or path."""

    status = 404
    grpc_code = "NOT_FOUND"


class MethodNotAllowed(PredictorError):
    """A path that exists, but not with this method."""

    status = 405
    grpc_code = "UNIMPLEMENTED"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"method {method} is not allowed here; use {allowed}")
        self.headers = ((b"allow", allowed.encode()),)


class NotAcceptable(PredictorError):
    """A response in none of the types that the client accepts."""

    status = 406
    grpc_code = "INVALID_ARGUMENT"
    kind = "not_acceptable"


class ReadTimeout(PredictorError):
    """A body that took too long to arrive."""

    status = 408
    grpc_code = "DEADLINE_EXCEEDED"
    reason = "slow"


class Conflict(PredictorError):
    """A valid change that the server, as it is configured, can't make."""

    status = 409
    grpc_code = "FAILED_PRECONDITION"


class TooLarge(PredictorError):
    """A body beyond the limits, as sent or as decompressed, or with too many rows."""

    status = 413
    grpc_code = "RESOURCE_EXHAUSTED"
    kind = "too_large"


class UnsupportedMediaType(PredictorError):
    """A content type, charset or content encoding that this endpoint does not read."""

    status = 415
    grpc_code = "INVALID_ARGUMENT"
    kind = "media_type"


class UnsupportedEncoding(UnsupportedMediaType):
    """A content coding that is not read here.

    Args:
        message: what the client reads.
        accepted: the codings that are read (RFC 9110, 12.5.3).
    """

    def __init__(self, message: str, accepted: str) -> None:
        super().__init__(message)
        self.headers = ((b"accept-encoding", accepted.encode()),)


class HeadTooLong(PredictorError):
    """A request line and headers, or trailers, beyond the limit."""

    status = 431
    grpc_code = "RESOURCE_EXHAUSTED"
    kind = "head_too_long"


class ClientGone(PredictorError):
    """The client went away before it had a response. HTTP has no status for it; nginx logs this one."""

    status = 499
    grpc_code = "CANCELLED"
    reason = "gone"

    def __init__(self) -> None:
        super().__init__("the client is gone")


class NotSupported(PredictorError):
    """Something that the served kind of model can't do."""

    status = 501
    grpc_code = "UNIMPLEMENTED"


class Unavailable(PredictorError):
    """The model is not ready, or there is too much to do; trying again may help.

    Args:
        message: what the client reads.
        retry_after: seconds after which to try again, if known.
    """

    status = 503
    grpc_code = "UNAVAILABLE"
    reason = "unavailable"

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        if retry_after is not None:
            self.headers = ((b"retry-after", str(retry_after).encode()),)


class Overloaded(Unavailable):
    """Too many large requests are waiting already."""

    grpc_code = "RESOURCE_EXHAUSTED"
    reason = "busy"


class TooManyConnections(Unavailable):
    """More connections than the limit are open."""

    reason = "connections"


class OutOfMemory(Unavailable):
    """The requests in progress use the whole memory budget."""

    grpc_code = "RESOURCE_EXHAUSTED"
    reason = "memory"


class DeadlineExceeded(PredictorError):
    """A response that was not ready in time."""

    status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    reason = "deadline"


def labels(attribute: str) -> tuple[str, ...]:
    """Return all values of ``reason`` or ``kind``, which are the values of a metric's label."""
    classes: list[type[PredictorError]] = [PredictorError]
    for found in classes:
        classes += found.__subclasses__()
    return tuple(sorted({getattr(found, attribute) for found in classes} - {""}))
