import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from predictor.codecs import compression
from predictor.errors import DeadlineExceeded, InvalidInput, TooLarge, UnsupportedMediaType
from predictor.messages import Response

CODINGS = (b"gzip", b"zstd", b"deflate")


def encode(body: bytes, coding: bytes) -> bytes:
    if coding == b"deflate":
        return zlib.compress(body)
    return zstandard.compress(body) if coding == b"zstd" else gzip.compress(body, mtime=0)


@pytest.mark.parametrize("coding", CODINGS)
@given(body=st.binary(max_size=10_000))
def test_decodes_a_compressed_body(coding: bytes, body: bytes) -> None:
    assert compression.decode(encode(body, coding), coding, len(body)) == body


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_one_byte_over_the_limit(coding: bytes) -> None:
    sent = encode(bytes(1000), coding)
    assert len(compression.decode(sent, coding, 1000)) == 1000
    with pytest.raises(TooLarge, match="longer than 999 bytes"):
        compression.decode(sent, coding, 999)


@pytest.mark.parametrize(("coding", "memory"), [(b"gzip", 2**24), (b"zstd", 2**25)])
def test_stops_decompressing_at_the_limit(coding: bytes, memory: int) -> None:
    sent = encode(bytes(2**26), coding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            compression.decode(sent, coding, 999)
        assert tracemalloc.get_traced_memory()[1] < len(sent) + memory
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("coding", "compress"), [(b"gzip", gzip.compress), (b"zstd", zstandard.compress)])
def test_concatenated_members_and_frames_are_one_body(coding: bytes, compress: object) -> None:
    assert callable(compress)
    sent = compress(b"ab") + compress(b"") + compress(b"cd")
    assert compression.decode(sent, coding, 4) == b"abcd"
    with pytest.raises(TooLarge):
        compression.decode(sent, coding, 3)


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_truncated_and_corrupted_bodies(coding: bytes) -> None:
    sent = encode(b"some numbers" * 10, coding)
    with pytest.raises(InvalidInput, match="cut off"):
        compression.decode(sent[:-5], coding, 1000)
    with pytest.raises(InvalidInput, match="is not"):
        compression.decode(b"x" + sent, coding, 1000)


def test_refuses_a_zstd_window_over_the_limit() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    sent = compressor.compress(bytes(2**21)) + compressor.flush()
    with pytest.raises(InvalidInput, match="zstd"):
        compression.decode(sent, b"zstd", 2**22)


@pytest.mark.parametrize("coding", [b"", b"identity", b" Identity "])
def test_identity_coding_returns_the_body(coding: bytes) -> None:
    assert compression.decode(b"body", coding, 1) == b"body"


def test_error_names_an_unsupported_coding() -> None:
    with pytest.raises(
        UnsupportedMediaType, match="unsupported content encoding br; use gzip, zstd or deflate"
    ):
        compression.decode(b"", b"BR", 1)


def test_decodes_deflate_without_the_zlib_header() -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert compression.decode(compressor.compress(b"body") + compressor.flush(), b"deflate", 4) == b"body"


@pytest.mark.parametrize("coding", [b"gzip", b"zstd"])
def test_decoding_ends_at_a_checkpoint(coding: bytes) -> None:
    def raise_at_once() -> None:
        raise DeadlineExceeded

    with pytest.raises(DeadlineExceeded):
        compression.decode(encode(b"body", coding), coding, 4, raise_at_once)


def test_empty_gzip_members_take_linear_time() -> None:
    empty = gzip.compress(b"", mtime=0)
    assert compression.decode(empty * 50_000 + gzip.compress(b"1", mtime=0), b"gzip", 1) == b"1"


@pytest.mark.parametrize(
    ("coding", "decompress"), [(b"gzip", gzip.decompress), (b"zstd", zstandard.decompress)]
)
def test_compresses_long_responses_only(coding: bytes, decompress: Callable[[bytes], bytes]) -> None:
    short = Response(b"1" * (compression.SMALLEST - 1))
    assert compression.compress(short, coding) is short
    long = compression.compress(Response(b"1" * compression.SMALLEST), coding)
    assert long.headers == ((b"content-encoding", coding), (b"vary", b"accept-encoding"))
    assert decompress(long.body) == b"1" * compression.SMALLEST
