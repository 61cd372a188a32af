"""A steady client that sends one request after the other on one connection, without retries."""

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.cluster.kube import wait_for


@dataclass
class Load:
    """Requests sent by a background thread while the ``with`` block runs.

    Attributes:
        url: the gateway's address.
        host: the Host header.
        path: the path of each request.
        body: the body of each request.
        is_valid: whether a response's content is correct.
        pause: seconds between two requests.
        chunked: whether the body is sent in chunks instead of with its length.
        sent: number of requests that were answered or failed.
        failures: when (monotonic seconds) and how each failed request failed.
        responses: number of valid responses by content, for short ones.
    """

    url: str
    host: str
    path: str
    body: bytes
    is_valid: Callable[[bytes], bool]
    pause: float = 0.0
    chunked: bool = False
    sent: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    responses: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_for_requests(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for_requests(self, count: int) -> None:
        """Wait until ``count`` requests were sent."""
        sent = f"{count} requests"
        wait_for(sent, lambda: self.sent >= count or not self._thread.is_alive(), 1500, pause=0.02)

    def assert_no_failures(self) -> None:
        """Fail with the first errors if a request failed."""
        assert not self.failures, f"{len(self.failures)} of {self.sent} failed: {self.failures[:5]}"

    def _run(self) -> None:
        connection = self._connect()
        while not self._ended.is_set():
            try:
                headers = {"Host": self.host, "Content-Type": "application/json"}
                body = iter((self.body,)) if self.chunked else self.body
                connection.request("POST", self.path, body, headers, encode_chunked=self.chunked)
                response = connection.getresponse()
                content = response.read()
                if response.status != http.client.OK or not self.is_valid(content):
                    self._record_failure(f"{response.status}: {content[:200]!r}")
                else:
                    self._record_response(content.decode())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._record_failure(repr(error))
                connection.close()
                connection = self._connect()
            self.sent += 1
            if self.pause:
                self._ended.wait(self.pause)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.url)
        return http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)

    def _record_failure(self, reason: str) -> None:
        self.failures.append((time.monotonic(), reason))
        # A gateway that refuses connections is not asked in a busy loop.
        self._ended.wait(0.01)

    def _record_response(self, content: str) -> None:
        if len(content) < 100:
            self.responses[content] = self.responses.get(content, 0) + 1
