"""The request log: the last requests, in memory, for an administrator."""

import time
from collections import deque

from predictor.messages import Request, Response

LOGGED_BYTES = 1024
"""The first bytes of a body, and of a response, that are logged."""

_FIELDS = ("time", "method", "path", "status", "request", "response")


class RequestLog:
    """The last requests, each with the first 1 KiB of its body and of its response.

    Attributes:
        entries: time, method, path, status, request and response. Tuples are faster than objects here.
    """

    def __init__(self, size: int) -> None:
        self.entries: deque[tuple[float, str, str, int, bytes, bytes]] = deque(maxlen=size)

    def add(self, method: str, path: str, status: int, body: bytes | bytearray, response: bytes) -> None:
        """Add a request, within a few hundred nanoseconds."""
        sent, answered = bytes(body[:LOGGED_BYTES]), response[:LOGGED_BYTES]
        self.entries.append((time.time(), method, path[:LOGGED_BYTES], status, sent, answered))

    def show(self, _request: Request) -> Response:
        """Answer ``GET /log``, the last request last."""
        return Response.of(
            {"requests": [dict(zip(_FIELDS, map(_text, e), strict=True)) for e in self.entries]}
        )

    def empty(self, _request: Request) -> Response:
        """Answer ``GET /emptyLog``."""
        count = len(self.entries)
        self.entries.clear()
        return Response.of({"emptied": count})


def _text(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
