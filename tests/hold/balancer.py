"""A small balancer that obeys readiness, keeps its connections, and never sends again what failed."""

import http.client
import socket
import threading

REQUEST = b'POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\n{"instance":0.5}'
ANSWER = b'{"prediction":621.125}'


def is_right(wire: socket.socket, request: bytes = REQUEST) -> bool:
    """Whether a request is answered rightly, in however many packets."""
    wire.sendall(request)
    answer = b""
    while not answer.endswith(ANSWER) and (part := wire.recv(65536)):
        answer += part
    return answer.endswith(ANSWER)


class Balancer:
    """Sends requests to the servers that are ready, from several threads, until it is stopped.

    Attributes:
        answered: right answers by the server's port.
        lost: what became of the requests that got none.
    """

    def __init__(self, *ports: int, clients: int = 4) -> None:
        self.ready = dict.fromkeys(ports, True)
        self.answered = dict.fromkeys(ports, 0)
        self.lost: list[str] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._probe)]
        self._threads += [threading.Thread(target=self._load) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def add(self, port: int) -> None:
        """Take in another server, once it is ready."""
        self.answered[port] = 0
        self.ready |= {port: False}

    def remove(self, port: int) -> None:
        """Forget a server that has ended."""
        self.ready = {other: ready for other, ready in self.ready.items() if other != port}

    def stop(self) -> None:
        """Stop, when the requests under way are answered."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _probe(self) -> None:
        while not self._stopped.wait(0.05):
            for port in list(self.ready):
                ready = _is_ready(port)
                if port in self.ready:
                    self.ready[port] = ready

    def _load(self) -> None:
        wires: dict[int, socket.socket] = {}
        turn = 0
        while not self._stopped.is_set():
            turn += 1
            ports = [port for port, ready in list(self.ready.items()) if ready]
            if not ports:
                self.lost.append("no server is ready")
                return
            port = ports[turn % len(ports)]
            try:
                wire = wires.pop(port, None) or socket.create_connection(("127.0.0.1", port), timeout=60)
                answer = _exchange(wire)
            except OSError as error:
                self.lost.append(f"{port}: {error}")
                continue
            self.answered[port] += 1
            if b"connection: close" in answer:
                wire.close()
            else:
                wires[port] = wire
        for wire in wires.values():
            wire.close()


def _exchange(wire: socket.socket) -> bytes:
    wire.sendall(REQUEST)
    answer = b""
    while not answer.endswith(ANSWER):
        if not (more := wire.recv(65536)):
            raise ConnectionError(f"closed after {answer!r}")
        answer += more
    return answer


def _is_ready(port: int) -> bool:
    probe = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        probe.request("GET", "/v2/health/ready")
        return probe.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        probe.close()
