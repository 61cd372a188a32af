"""A collector of traces. It runs in a pod with the standard library alone.

``python collector.py PORT``: it takes what OTLP/HTTP posts to ``/v1/traces``, and answers a GET with all of
that in base64, one request a line.
"""

import base64
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

received: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    """Takes requests, and returns them."""

    def do_POST(self) -> None:
        """Take the spans of a process."""
        body = self.rfile.read(int(self.headers["content-length"]))
        found = self.path == "/v1/traces"
        if found:
            received.append(base64.b64encode(body))
        self._respond(200 if found else 404, b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Return all that was sent."""
        self._respond(200, b"\n".join(received), "text/plain")

    def _respond(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
