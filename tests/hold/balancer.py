"""A small load balancer: it follows readiness, keeps its connections open, and never retries a request."""

import threading

from tests.support.http import Connection, head, post

REQUEST = post("/stream", b'{"instance":0.5}')
ANSWER = b'{"prediction":621.125}'
_PROBE = head("/v2/health/ready", method="GET")


def is_right(connection: Connection, request: bytes = REQUEST) -> bool:
    """Send a request for the prediction of 0.5; returns whether the answer is right."""
    connection.send(request)
    return connection.read_response().body == ANSWER


class Balancer:
    """Sends requests to the servers that are ready, from several threads, until it is stopped.

    Attributes:
        answered: the number of right answers by the port of the server.
        lost: what happened to each request without a right answer.
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
        """Add a server; it gets requests once it is ready."""
        self.answered[port] = 0
        self.ready |= {port: False}

    def remove(self, port: int) -> None:
        """Remove a server that has ended."""
        self.ready = {other: ready for other, ready in self.ready.items() if other != port}

    def stop(self) -> None:
        """Wait for the answers that are due, and stop."""
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
        connections: dict[int, Connection] = {}
        turn = 0
        while not self._stopped.is_set():
            turn += 1
            ports = [port for port, ready in list(self.ready.items()) if ready]
            if not ports:
                self.lost.append("no server is ready")
                break
            port = ports[turn % len(ports)]
            try:
                connection = connections.pop(port, None) or Connection(port)
                connection.send(REQUEST)
                answer = connection.read_response()
            except OSError as error:
                self.lost.append(f"{port}: {error}")
                continue
            if answer.body == ANSWER:
                self.answered[port] += 1
            else:
                self.lost.append(f"{port}: {answer}")
            if answer.headers.get(b"connection") == b"close":
                connection.close()
            else:
                connections[port] = connection
        for connection in connections.values():
            connection.close()


def _is_ready(port: int) -> bool:
    try:
        with Connection(port) as connection:
            connection.send(_PROBE)
            return connection.read_response().status == 200
    except OSError:
        return False
