"""A raw HTTP/1.1 client: it sends bytes as they are given, and reads what comes back."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

PATIENCE = 120
"""Seconds to wait for a server; many times what the slowest answer takes on a busy machine."""


class Response(NamedTuple):
    """A response; ``fields`` are its headers in the order in which they were sent."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers by their names in lower case."""
        return {name.lower(): value for name, value in self.fields}


class Connection:
    """A connection to a server on this machine; ``socket`` is there for whatever is not offered here."""

    def __init__(self, port: int, *, timeout: float = PATIENCE, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(("127.0.0.1", port))
        except BaseException:
            self.socket.close()
            raise
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both directions."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def finish_sending(self) -> None:
        """Close the sending direction."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_response(self) -> Response:
        """Read one response, by its length, its chunks, or until the server closes the connection.

        Raises:
            OSError: it did not arrive whole.
        """
        first, *lines = self.read_to(b"\r\n\r\n")[:-4].split(b"\r\n")
        fields = tuple((name, value) for name, _, value in (line.partition(b": ") for line in lines))
        answer = Response(int(first.split()[1]), fields, b"")
        if b"content-length" in answer.headers:
            return answer._replace(body=self.read_exactly(int(answer.headers[b"content-length"])))
        if answer.headers.get(b"transfer-encoding") == b"chunked":
            return answer._replace(body=b"".join(iter(self.read_chunk, b"")))
        return answer._replace(body=self.read_until_closed())

    def read_chunk(self) -> bytes:
        """Read the next chunk of a chunked body; empty at its end."""
        size = int(self.read_to(b"\r\n"), 16)
        return self.read_exactly(size + 2)[:-2]

    def read_to(self, end: bytes) -> bytes:
        """Read up to and with ``end``."""
        while (place := self._received.find(end)) < 0:
            self._receive()
        return self._take(place + len(end))

    def read_exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        while len(self._received) < size:
            self._receive()
        return self._take(size)

    def read_until_closed(self) -> bytes:
        """Read everything until the server closes or resets the connection."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._receive()
        return self._take(len(self._received))

    def _take(self, size: int) -> bytes:
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _receive(self) -> None:
        data = self.socket.recv(2**18)
        if not data:
            raise ConnectionError(f"closed after {bytes(self._received[:200])!r}")
        self._received += data


def exchange(port: int, data: bytes, *, half_close: bool = False, timeout: float = PATIENCE) -> bytes:
    """Send bytes on a connection of their own, and return everything that comes back until it is closed.

    Args:
        port: where the server listens.
        data: what is sent; the server may close the connection before it has taken all.
        half_close: send no more afterwards, and say so.
        timeout: seconds to wait for each part of the answer.
    """
    with Connection(port, timeout=timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.send(data)
            if half_close:
                connection.finish_sending()
        return connection.read_until_closed()


def head(path: str, headers: Mapping[str, str] | None = None, *, method: str = "POST") -> bytes:
    """Write a request's line and headers, with a host."""
    fields = {"host": "x", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None, *, chunk_size: int = 0) -> bytes:
    """Write a POST request whose body has a length, or comes in chunks of ``chunk_size`` bytes."""
    fields = dict(headers or {})
    if not chunk_size:
        return head(path, fields | {"content-length": str(len(body))}) + body
    return head(path, fields | {"transfer-encoding": "chunked"}) + chunked(body, chunk_size)


def chunked(body: bytes, chunk_size: int) -> bytes:
    """Write a body in chunks of ``chunk_size`` bytes, with the one that ends it."""
    parts = [body[start : start + chunk_size] for start in range(0, len(body), chunk_size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@contextlib.contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests by a handler, in a thread; yields the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
