"""A raw HTTP/2 client of gRPC servers: it sends frames as they are given, and reads no more than it must.

https://www.rfc-editor.org/rfc/rfc9113
"""

import struct
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.http import Connection

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_TABLE_SIZE, _INITIAL_WINDOW = 1, 4


class Frame(NamedTuple):
    """A frame: its type, flags, stream and content."""

    kind: int
    flags: int
    stream: int
    content: bytes


class Http2Connection:
    """A connection to a gRPC server on this machine. The server writes all fields as plain text.

    Args:
        port: where the server listens.
        window: bytes of a response that the server may send before the client asks for more.
    """

    def __init__(self, port: int, *, window: int = 2**16 - 1) -> None:
        self._connection = Connection(port)
        self._last_stream = -1
        self._connection.send(_PREFACE)
        self.send(SETTINGS, struct.pack(">HIHI", _TABLE_SIZE, 0, _INITIAL_WINDOW, window))
        self.read(SETTINGS)
        self.send(SETTINGS, flags=ACK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, path: str, *messages: bytes, metadata: Mapping[str, str] | None = None) -> int:
        """Begin a call, and end its sending direction if there are messages; returns its stream."""
        stream = self._last_stream = self._last_stream + 2
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "te": "trailers"}
        fields |= {"content-type": "application/grpc", **(metadata or {})}
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
        self.send(HEADERS, block, flags=END_HEADERS, stream=stream)
        if messages:
            self.send(DATA, b"".join(map(prefixed, messages)), flags=END_STREAM, stream=stream)
        return stream

    def send(self, kind: int, content: bytes = b"", *, flags: int = 0, stream: int = 0) -> None:
        """Send a frame."""
        head = struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream)
        self._connection.send(head + content)

    def read(self, kind: int, stream: int | None = None) -> Frame:
        """Read up to the next frame of a type, on a stream if one is given; acknowledges settings and pings.

        Raises:
            OSError: the server closed the connection, or sent nothing.
        """
        while True:
            frame = self._read()
            if frame.kind in (SETTINGS, PING) and not frame.flags & ACK and kind != frame.kind:
                self.send(frame.kind, frame.content if frame.kind == PING else b"", flags=ACK)
            if frame.kind == kind and stream in (None, frame.stream):
                return frame

    def _read(self) -> Frame:
        head = self._connection.read_exactly(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return Frame(kind, flags, stream, self._connection.read_exactly(int.from_bytes(head[:3], "big")))


def prefixed(message: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """Write a message of gRPC with its prefix, which may announce another length."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


def _text(text: str) -> bytes:
    """Write a text of a field that is not compressed (RFC 7541, 5.2)."""
    encoded, length = text.encode(), len(text.encode())
    if length < 127:
        return bytes([length]) + encoded
    length -= 127
    number = bytearray([127])
    while length > 127:
        number.append(length & 127 | 128)
        length >>= 7
    return bytes([*number, length]) + encoded
