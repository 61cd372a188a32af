"""A steady client: one connection that is kept, one request after the other, and no second try."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass
class Load:
    """Requests in the background, from ``with`` until its end.

    Attributes:
        url: the gateway's address.
        host: the host name asked for.
        path: where each request goes.
        body: what it says.
        right: whether an answer's content is a right one.
        pause: seconds between two requests.
        chunked: whether the body is sent in chunks instead of with its length.
        sent: how many were answered or failed.
        failures: for each failed one, when it failed (monotonic seconds) and how.
    """

    url: str
    host: str
    path: str
    body: bytes
    right: Callable[[bytes], bool]
    pause: float = 0.0
    chunked: bool = False
    sent: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.reach(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def reach(self, count: int) -> None:
        """Wait until ``count`` requests were sent."""
        while self.sent < count and self._thread.is_alive():
            time.sleep(0.02)

    def _run(self) -> None:
        connection = self._connect()
        while not self._ended.is_set():
            try:
                headers = {"Host": self.host, "Content-Type": "application/json"}
                body = iter((self.body,)) if self.chunked else self.body
                connection.request("POST", self.path, body, headers, encode_chunked=self.chunked)
                response = connection.getresponse()
                content = response.read()
                if response.status != http.client.OK or not self.right(content):
                    self._fail(f"{response.status}: {content[:200]!r}")
                else:
                    self._count(content.decode())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._fail(repr(error))
                connection.close()
                connection = self._connect()
            self.sent += 1
            if self.pause:
                time.sleep(self.pause)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.url)
        return http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)

    def _fail(self, how: str) -> None:
        self.failures.append((time.monotonic(), how))
        time.sleep(0.01)

    def _count(self, answer: str) -> None:
        if len(answer) < 100:
            self.answers[answer] = self.answers.get(answer, 0) + 1
