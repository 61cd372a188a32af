"""A proxy before a real predictor that can break its answers."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = tuple[int, str, bytes]
"""Status, content type and body."""
Change = Callable[[str, Answer], Answer]
"""Given a path and the real answer, returns the one to send."""


class Proxy(ThreadingHTTPServer):
    """Forwards requests to a port of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.change: Change = lambda path, answer: answer

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._forward(None)

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""

    def _forward(self, body: bytes | None) -> None:
        server = self.server
        assert isinstance(server, Proxy)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {name: self.headers[name] for name in ("accept", "content-type") if name in self.headers}
        connection.request(self.command, self.path, body, headers)
        real = connection.getresponse()
        answer = (real.status, real.headers.get("content-type", ""), real.read())
        connection.close()
        status, media, content = server.change(self.path, answer)
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def start_proxy(port: int) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine."""
    with Proxy(port) as proxy:
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


def closed(path: str, answer: Answer) -> Answer:
    """Close the paths that a gateway does not route."""
    return (404, "text/plain", b"") if path == "/metrics" else answer


def replaced(where: str, old: bytes, new: bytes) -> Change:
    """Return a change of the bodies of some paths."""

    def change(path: str, answer: Answer) -> Answer:
        status, media, body = closed(path, answer)
        return status, media, body.replace(old, new) if path.startswith(where) else body

    return change


def failing(where: str, status: int) -> Change:
    """Return a change that answers some paths with a status."""
    return lambda path, answer: (
        (status, "application/json", b'{"error": "broken"}') if path == where else closed(path, answer)
    )
