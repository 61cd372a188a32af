"""What a server does of more requests than it can answer: an open-loop generator for large bodies.

Requests are begun when they are due, on the first connection that is free, and refused ones are not sent
again. What is due while no connection is free waits for one.
"""

import math
import select
import socket
import time
from dataclasses import dataclass, field

_RIGHT, _REFUSED = b"HTTP/1.1 200 ", b"HTTP/1.1 503 "
_PART = 2**18


@dataclass
class Outcome:
    """What became of the requests of some seconds.

    Attributes:
        seconds: how long requests were begun.
        right: how many were answered rightly within that time.
        refused: how long each took that was refused, in seconds.
    """

    seconds: float = 0.0
    right: int = 0
    refused: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.right / self.seconds


def offer(port: int, request: bytes, *, rate: float = math.inf, seconds: float, connections: int) -> Outcome:
    """Begin ``rate`` requests a second, or whenever a connection is free, and count what comes of them.

    Raises:
        RuntimeError: an answer that is neither right nor a refusal, or none at all.
    """
    generator = _Generator(port, request, connections)
    start, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < start + seconds:
        while generator.free and sent < (now - start) * rate:
            generator.begin(now)
            sent += 1
        generator.step()
    generator.outcome.seconds = now - start
    generator.finish()
    return generator.outcome


class _Generator:
    """Connections, and what comes over them."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self.port, self.request = port, request
        self.outcome = Outcome()
        self.poll = select.epoll()
        self.clients: dict[int, _Client] = {}
        self.free: list[_Client] = []
        for _ in range(connections):
            self._connect()

    def begin(self, now: float) -> None:
        client = self.free.pop()
        client.begin(now)
        self.poll.modify(client.number, select.EPOLLIN | select.EPOLLOUT)

    def step(self) -> None:
        """Send and receive what can be without waiting for it."""
        for number, event in self.poll.poll(0.001):
            client = self.clients[number]
            if event & select.EPOLLOUT and client.send():
                self.poll.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and (head := client.receive()):
                self._count(client, head)
            if client.idle:
                self._free(client)

    def finish(self) -> None:
        """Wait for the answers that are still to come, uncounted, and close all connections."""
        right = self.outcome.right
        while len(self.free) < len(self.clients):
            self.step()
        self.outcome.right = right
        for client in self.clients.values():
            client.wire.close()

    def _count(self, client: "_Client", head: bytes) -> None:
        if head.startswith(_RIGHT):
            self.outcome.right += 1
        elif head.startswith(_REFUSED):
            self.outcome.refused.append(time.perf_counter() - client.begun)
        else:
            raise RuntimeError(f"neither right nor refused: {head!r}")

    def _free(self, client: "_Client") -> None:
        client.idle = False
        if client.closing:
            del self.clients[client.number]
            client.wire.close()
            self._connect()
        else:
            self.free.append(client)

    def _connect(self) -> None:
        client = _Client(self.port, self.request)
        self.clients[client.number] = client
        self.poll.register(client.number, select.EPOLLIN)
        self.free.append(client)


class _Client:
    """One connection, which sends a request in parts and reads its answer, whichever ends first."""

    def __init__(self, port: int, request: bytes) -> None:
        self.wire = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire.setblocking(False)
        self.number = self.wire.fileno()
        self.request = memoryview(request)
        self.sent = len(request)
        self.answer = bytearray()
        self.begun = 0.0
        self.answered, self.idle, self.closing = True, False, False

    def begin(self, now: float) -> None:
        self.begun, self.sent, self.answered = now, 0, False
        self.answer.clear()

    def send(self) -> bool:
        """Send what can be sent; whether all is."""
        try:
            self.sent += self.wire.send(self.request[self.sent : self.sent + _PART])
        except BlockingIOError:
            return False
        sent = self.sent == len(self.request)
        self.idle = sent and self.answered
        return sent

    def receive(self) -> bytes:
        """Read what has come; the head of the answer, when that is complete."""
        part = self.wire.recv(2**20)
        if not part and self.closing:
            self.idle = True  # the rest of the request is of no use
            return b""
        if not part:
            raise RuntimeError(f"the connection was closed: {bytes(self.answer[:200])!r}")
        self.answer += part
        head, _, body = self.answer.partition(b"\r\n\r\n")
        fields = head.lower()
        length = fields.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return b""
        self.answered, self.closing = True, b"connection: close" in fields
        self.idle = self.sent == len(self.request)
        return bytes(head)
