import gzip
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from predictor import encoding
from predictor.errors import InvalidInput, TooLarge, UnsupportedMedia

CODINGS = (b"gzip", b"zstd")


@pytest.mark.parametrize("coding", CODINGS)
@given(body=st.binary(max_size=10_000))
def test_decode_reverses_encode(coding: bytes, body: bytes) -> None:
    assert encoding.decode(encoding.encode(body, coding), coding, len(body)) == body


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_one_byte_over_the_limit(coding: bytes) -> None:
    sent = encoding.encode(bytes(1000), coding)
    assert len(encoding.decode(sent, coding, 1000)) == 1000
    with pytest.raises(TooLarge, match="longer than 999 bytes"):
        encoding.decode(sent, coding, 999)


@pytest.mark.parametrize(("coding", "memory"), [(b"gzip", 2**16), (b"zstd", 2**25)])
def test_stops_decompressing_at_the_limit(coding: bytes, memory: int) -> None:
    sent = encoding.encode(bytes(2**26), coding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            encoding.decode(sent, coding, 999)
        assert tracemalloc.get_traced_memory()[1] < len(sent) + memory
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("coding", "compress"), [(b"gzip", gzip.compress), (b"zstd", zstandard.compress)])
def test_concatenated_members_and_frames_are_one_body(coding: bytes, compress: object) -> None:
    assert callable(compress)
    sent = compress(b"ab") + compress(b"") + compress(b"cd")
    assert encoding.decode(sent, coding, 4) == b"abcd"
    with pytest.raises(TooLarge):
        encoding.decode(sent, coding, 3)


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_truncated_and_corrupted_bodies(coding: bytes) -> None:
    sent = encoding.encode(b"some numbers" * 10, coding)
    with pytest.raises(InvalidInput, match="cut off"):
        encoding.decode(sent[:-5], coding, 1000)
    with pytest.raises(InvalidInput, match="is not"):
        encoding.decode(b"x" + sent, coding, 1000)


def test_refuses_a_zstd_window_over_the_limit() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    sent = compressor.compress(bytes(2**21)) + compressor.flush()
    with pytest.raises(InvalidInput, match="zstd"):
        encoding.decode(sent, b"zstd", 2**22)


@pytest.mark.parametrize("coding", [b"", b"identity", b" Identity "])
def test_identity_coding_returns_the_body(coding: bytes) -> None:
    assert encoding.decode(b"body", coding, 1) == b"body"


def test_error_names_an_unsupported_coding() -> None:
    with pytest.raises(UnsupportedMedia, match="content encoding br is not known here, only gzip and zstd"):
        encoding.decode(b"", b"BR", 1)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"", b""),
        (b"br", b""),
        (b"gzip", b"gzip"),
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"GZIP;q=0.5", b"gzip"),
        (b"zstd;q=0, gzip", b"gzip"),
        (b"zstd; q=0.000, gzip;q=0", b""),
    ],
)
def test_chooses_an_accepted_coding(accepted: bytes, coding: bytes) -> None:
    assert encoding.choose(accepted) == coding
