"""A client that trusts no answer: each must be whole, in time, and never our own fault."""

import contextlib
import re
import socket
from dataclasses import dataclass
from typing import NamedTuple

PATIENCE = 60
"""Seconds after which a server hangs; many times what the slowest answer takes on a busy machine."""

_FAULT = re.compile(rb"^HTTP/1\.\d 5\d\d ", re.MULTILINE)


class Fault(AssertionError):  # noqa: N818  what a server has, not what we made
    """An answer that no request may get, or none at all."""


class Response(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True)
class Target:
    """A server, and the model that it serves."""

    port: int
    process: int
    weights: tuple[float, ...]
    intercept: float

    @property
    def width(self) -> int:
        return len(self.weights)

    def predict(self, row: list[float]) -> float:
        """What the server must answer, to the last digit."""
        total = self.weights[0] * row[0]
        for weight, value in zip(self.weights[1:], row[1:], strict=True):
            total += weight * value
        return total + self.intercept


class Client:
    """Sends requests over one connection, which is opened again whenever the server closes it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.count = 0
        self._wire: socket.socket | None = None
        self._rest = b""

    def post(self, path: str, body: bytes, *, chunks: int = 0, **headers: str) -> Response:
        """Ask, with a body of known length, or in ``chunks`` bytes at once.

        Raises:
            Fault: no answer, half of one, or a 5xx.
        """
        self.count += 1
        fields = {"host": "fuzz", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if chunks:
            fields["transfer-encoding"] = "chunked"
            parts = [body[start : start + chunks] for start in range(0, len(body), chunks)]
            sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        else:
            fields["content-length"] = str(len(body))
            sent = body
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        answer = self._ask(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + sent)
        if answer.status >= 500:
            raise Fault(f"{path} {headers} {body[:2000]!r}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        if self._wire:
            self._wire.close()
        self._wire, self._rest = None, b""

    def _ask(self, request: bytes) -> Response:
        if self._wire is None:
            self._wire = socket.create_connection(("127.0.0.1", self.target.port), timeout=PATIENCE)
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # a refusal may come, and the end, before all was sent
            self._wire.sendall(request)
        answer = self._read(request)
        if answer.headers.get(b"connection") == b"close":
            self.close()
        return answer

    def _read(self, request: bytes) -> Response:
        head = self._until(b"\r\n\r\n", request)
        first, *lines = head[:-4].split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if b"content-length" in headers:
            body = self._exactly(int(headers[b"content-length"]), request)
        else:
            body = b""
            while size := int(self._until(b"\r\n", request), 16):
                body += self._exactly(size + 2, request)[:-2]
            self._exactly(2, request)
        return Response(int(first.split()[1]), headers, body)

    def _until(self, end: bytes, request: bytes) -> bytes:
        while (place := self._rest.find(end)) < 0:
            self._more(request)
        return self._cut(place + len(end))

    def _exactly(self, size: int, request: bytes) -> bytes:
        while len(self._rest) < size:
            self._more(request)
        return self._cut(size)

    def _cut(self, size: int) -> bytes:
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _more(self, request: bytes) -> None:
        assert self._wire is not None
        try:
            data = self._wire.recv(2**18)
        except OSError as error:
            raise Fault(f"{error} after {self._rest[:200]!r}, asked {request[:2000]!r}") from error
        if not data:
            raise Fault(f"closed after {self._rest[:200]!r}, asked {request[:2000]!r}")
        self._rest += data


def exchange(target: Target, data: bytes) -> bytes:
    """Send bytes on a connection of their own and no more; everything that comes back until its end.

    Raises:
        Fault: it does not end, what comes back is not HTTP, or a 5xx is among it.
    """
    parts: list[bytes] = []
    try:
        with (
            socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE) as wire,
            contextlib.suppress(ConnectionError),
        ):
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(2**18):
                parts.append(part)
    except TimeoutError as error:
        raise Fault(f"no end after {b''.join(parts)[:500]!r}, sent {data[:2000]!r}") from error
    answer = b"".join(parts)
    if answer and not answer.startswith(b"HTTP/1.1 "):
        raise Fault(f"not HTTP: {answer[:500]!r}, sent {data[:2000]!r}")
    if _FAULT.search(answer):
        raise Fault(f"{answer[:500]!r}, sent {data[:2000]!r}")
    return answer
