"""Compressed bodies, both ways: gzip and zstd, bounded after decompression."""

import zlib

import zstandard

from predictor.errors import InvalidInput, TooLarge, UnsupportedMedia

SMALLEST = 1400
"""Bytes below which compressing an answer gains nothing: it fits into one packet."""

_GZIP = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW = 2**23
"""The window that a sender may expect (RFC 9659); it bounds what a frame can make us allocate."""
_ZSTD_STEP = 512
"""Bytes decompressed at once: a block of 4 bytes can become 128 KiB, so this becomes 16 MiB at the most."""


def decode(body: bytes | bytearray, coding: bytes, limit: int) -> bytes | bytearray:
    """Undo a content coding.

    Raises:
        UnsupportedMedia: another coding than gzip, zstd or identity.
        TooLarge: more than ``limit`` bytes come out.
        InvalidInput: the body is not what its coding says.
    """
    coding = coding.strip().lower()
    if coding in (b"", b"identity"):
        return body
    if coding in (b"gzip", b"x-gzip"):
        return _gunzip(body, limit)
    if coding == b"zstd":
        return _unzstd(body, limit)
    shown = coding.decode("latin-1")[:40]
    raise UnsupportedMedia(f"content encoding {shown} is not known here, only gzip and zstd")


def choose(accepted: bytes) -> bytes:
    """The coding for an answer by an Accept-Encoding header; empty for none (RFC 9110, 12.5.3)."""
    offered: dict[bytes, bool] = {}
    for item in accepted.lower().split(b","):
        name, _, quality = item.partition(b";")
        offered[name.strip()] = quality.strip().replace(b" ", b"") not in (
            b"q=0",
            b"q=0.0",
            b"q=0.00",
            b"q=0.000",
        )
    return next((name for name in (b"zstd", b"gzip") if offered.get(name)), b"")


def encode(body: bytes, coding: bytes) -> bytes:
    """Compress an answer, quickly rather than small."""
    if coding == b"zstd":
        return zstandard.ZstdCompressor(level=1).compress(body)
    compressor = zlib.compressobj(1, wbits=_GZIP)
    return compressor.compress(body) + compressor.flush()


def _gunzip(body: bytes | bytearray, limit: int) -> bytearray:
    result = bytearray()
    rest = bytes(body)
    while rest or not result:
        member = zlib.decompressobj(_GZIP)
        try:
            result += member.decompress(rest, limit + 1 - len(result))
        except zlib.error as error:
            raise InvalidInput(f"the body is not gzip: {error}") from error
        _check(result, limit)
        if not member.eof:
            raise InvalidInput("the gzip body is cut off")
        rest = member.unused_data
        if not result and not rest:
            break
    return result


def _unzstd(body: bytes | bytearray, limit: int) -> bytearray:
    result = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = decompressor.decompressobj()
    try:
        for start in range(0, len(body), _ZSTD_STEP):
            rest = bytes(body[start : start + _ZSTD_STEP])
            while rest:
                frame = decompressor.decompressobj() if frame.eof else frame
                result += frame.decompress(rest)
                _check(result, limit)
                rest = frame.unused_data
    except zstandard.ZstdError as error:
        raise InvalidInput(f"the body is not zstd: {error}") from error
    if not frame.eof:
        raise InvalidInput("the zstd body is cut off")
    return result


def _check(result: bytearray, limit: int) -> None:
    if len(result) > limit:
        raise TooLarge(f"the decompressed body is longer than {limit} bytes")
