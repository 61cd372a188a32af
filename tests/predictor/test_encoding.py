import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from predictor.codecs import compression
from predictor.errors import InvalidInput, TooLarge, UnsupportedMediaType

CODINGS = (b"gzip", b"zstd")


@pytest.mark.parametrize("coding", CODINGS)
@given(body=st.binary(max_size=10_000))
def test_decode_reverses_encode(coding: bytes, body: bytes) -> None:
    assert compression.decode(compression.encode(body, coding), coding, len(body)) == body


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_one_byte_over_the_limit(coding: bytes) -> None:
    sent = compression.encode(bytes(1000), coding)
    assert len(compression.decode(sent, coding, 1000)) == 1000
    with pytest.raises(TooLarge, match="longer than 999 bytes"):
        compression.decode(sent, coding, 999)


@pytest.mark.parametrize(("coding", "compress"), [(b"gzip", gzip.compress), (b"zstd", zstandard.compress)])
def test_concatenated_members_and_frames_are_one_body(coding: bytes, compress: object) -> None:
    assert callable(compress)
    sent = compress(b"ab") + compress(b"") + compress(b"cd")
    assert compression.decode(sent, coding, 4) == b"abcd"
    with pytest.raises(TooLarge):
        compression.decode(sent, coding, 3)


@pytest.mark.parametrize("coding", CODINGS)
def test_refuses_truncated_and_corrupted_bodies(coding: bytes) -> None:
    sent = compression.encode(b"some numbers" * 10, coding)
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
    with pytest.raises(UnsupportedMediaType, match="content encoding br is not known here, only gzip and zstd"):
        compression.decode(b"", b"BR", 1)


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
    assert compression.choose(accepted) == coding
