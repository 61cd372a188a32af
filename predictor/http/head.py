"""Rules for the head of every request: its length, its target and its Host field."""

import re
from collections.abc import Sequence

import httptools

from predictor.errors import HeadTooLong, InvalidInput

FIELD_BYTES = 32
"""What a field counts for beside its bytes, as in HTTP/2 (RFC 9113, 6.5.2)."""

_CHUNK_BYTES = 16
"""Bytes around a chunk that are never too many: its length in hex, and line ends."""
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?")


class Overhead:
    """Counts the bytes of a request that are not its body: head, chunk headers and trailers.

    Args:
        limit: bytes that are allowed.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._size = self._body = 0

    def begin(self) -> None:
        """Start with a head, or with a body."""
        self._size = self._body = 0

    def add(self, size: int) -> None:
        """Count bytes.

        Raises:
            HeadTooLong: there are too many.
        """
        self._size += size
        if self._size > self.limit:
            raise HeadTooLong(f"the head of the request is longer than {self.limit} bytes")

    def add_chunk(self, size: int) -> None:
        """Note that bytes of the body are among those that ``add_part`` counts next."""
        self._body += size + _CHUNK_BYTES

    def add_part(self, size: int) -> None:
        """Count the bytes of a part of a body in chunks, without the chunks.

        Raises:
            HeadTooLong: there are too many.
        """
        others, self._body = max(size - self._body, -self._size), 0
        self.add(others)


def check_host(fields: Sequence[tuple[bytes, bytes]], version: str) -> None:
    """Check that there is one Host field, as HTTP/1.1 requires (RFC 9112, 3.2).

    Raises:
        InvalidInput: it is missing, repeated or malformed.
    """
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise InvalidInput(f"expected one Host field, got {len(hosts)}")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise InvalidInput("the Host field is malformed")


def origin_form(target: bytes) -> bytes:
    """Return path and query of a request target, which may also be absolute (RFC 9112, 3.2).

    Raises:
        InvalidInput: the target is malformed.
    """
    if target.startswith(b"/"):
        return target
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError as error:
        raise InvalidInput("the request target is malformed") from error
    query = b"" if url.query is None else b"?" + url.query
    return (url.path or b"/") + query
