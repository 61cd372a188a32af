"""The last requests, bounded in memory, for an administrator to look at."""

import time
from collections import deque

from predictor.messages import Request, Response

_BYTES = 1024


class RequestLog:
    """Remembers the last requests: when, what, with which answer, and the beginnings of both bodies."""

    def __init__(self, size: int) -> None:
        self.entries: deque[tuple[float, str, str, int, bytes, bytes]] = deque(maxlen=size)

    def add(self, method: str, path: str, status: int, body: bytes | bytearray, answer: bytes) -> None:
        """Remember a request: a few hundred nanoseconds, so that it can be done for each."""
        begun = body if len(body) <= _BYTES else body[:_BYTES]
        self.entries.append((time.time(), method, path[:_BYTES], status, bytes(begun), answer[:_BYTES]))

    def show(self, _request: Request) -> Response:
        """Answer ``GET /log``, the last request last."""
        keys = ("time", "method", "path", "status", "request", "response")
        return Response.of(
            {
                "requests": [
                    dict(
                        zip(
                            keys,
                            (*entry[:4], *(text.decode("utf-8", "replace") for text in entry[4:])),
                            strict=True,
                        )
                    )
                    for entry in self.entries
                ]
            }
        )

    def empty(self, _request: Request) -> Response:
        """Answer ``GET /emptyLog``."""
        count = len(self.entries)
        self.entries.clear()
        return Response.of({"emptied": count})
