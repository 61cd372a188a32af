"""Content codings, both ways: gzip, zstd and deflate, linear in their input and bounded in their output."""

import zlib
from collections.abc import Callable
from typing import Any

import zstandard

from predictor.errors import InvalidInput, TooLarge, UnsupportedEncoding
from predictor.messages import Response

SMALLEST = 1400
"""Bytes below which compressing a response gains nothing: it fits into one packet."""

_GZIP = 16 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS
_ZLIB_METHOD = 8
_ZSTD_WINDOW = 2**23
"""The window that a sender may expect (RFC 9659); it bounds what a frame can make us allocate."""
_GZIP_STEP = 2**12
"""Bytes decompressed at once. They become 4 MiB at the most, and what is left of them after each member of a
stream is copied: small steps keep a body of very many empty members linear."""
_ZSTD_STEP = 512
"""Bytes decompressed at once: a block of 4 bytes can become 128 KiB, so this becomes 16 MiB at the most."""


def decode(
    body: bytes | bytearray, coding: bytes, limit: int, checkpoint: Callable[[], None] = lambda: None
) -> bytes | bytearray:
    """Undo a content coding of a body of one or more members, a small step of the input at a time.

    Args:
        body: the body as sent.
        coding: the value of Content-Encoding.
        limit: bytes that may come out.
        checkpoint: is called between pieces, and may raise to end the work.

    Raises:
        UnsupportedEncoding: a coding other than gzip, zstd, deflate or identity.
        TooLarge: more than ``limit`` bytes come out.
        InvalidInput: the body does not have that coding.
    """
    coding = coding.strip().lower()
    if coding in (b"", b"identity"):
        return body
    name, step, new_member = _decompressor(coding, body)
    result, member = bytearray(), new_member()
    try:
        for start in range(0, len(body), step):
            checkpoint()
            rest = bytes(body[start : start + step])
            while rest:
                if member.eof:
                    member = new_member()
                result += member.decompress(rest)
                if len(result) > limit:
                    raise TooLarge(f"the decompressed body is longer than {limit} bytes")
                rest = member.unused_data
    except (zlib.error, zstandard.ZstdError) as error:
        raise InvalidInput(f"the body is not {name}: {error}") from error
    if not member.eof:
        raise InvalidInput(f"the {name} body is cut off")
    return result


def compress(response: Response, coding: bytes) -> Response:
    """Compress a response where that is worth it, quickly rather than small."""
    if len(response.body) < SMALLEST:
        return response
    headers = ((b"content-encoding", coding), *response.headers, (b"vary", b"accept-encoding"))
    if coding == b"zstd":
        body = zstandard.ZstdCompressor(level=1).compress(response.body)
    else:
        body = zlib.compress(response.body, 1, _GZIP)
    return response._replace(body=body, headers=headers)


def _decompressor(coding: bytes, body: bytes | bytearray) -> tuple[str, int, Callable[[], Any]]:
    """Return a coding's name, the bytes to decompress at once, and what starts a member of a body."""
    if coding in (b"gzip", b"x-gzip"):
        return "gzip", _GZIP_STEP, lambda: zlib.decompressobj(_GZIP)
    if coding == b"deflate":
        wbits = zlib.MAX_WBITS if _is_zlib(body) else _RAW_DEFLATE
        return "deflate", _GZIP_STEP, lambda: zlib.decompressobj(wbits)
    if coding == b"zstd":
        zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        return "zstd", _ZSTD_STEP, zstd.decompressobj
    message = f"unsupported content encoding {coding.decode('latin-1')[:40]}; use gzip, zstd or deflate"
    raise UnsupportedEncoding(message, "gzip, zstd, deflate")


def _is_zlib(body: bytes | bytearray) -> bool:
    """Return whether a deflate body has the zlib header (RFC 1950); some clients leave it out."""
    return len(body) > 1 and body[0] & 0x0F == _ZLIB_METHOD and int.from_bytes(body[:2], "big") % 31 == 0
