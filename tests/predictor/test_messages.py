import pytest

from predictor.errors import NotAcceptable, Overloaded, UnsupportedMediaType
from predictor.messages import ARROW, CSV, JSON, RequestHeaders, Response


@pytest.mark.parametrize(
    ("sent", "media"),
    [
        (b"", JSON),
        (b"application/x-www-form-urlencoded", JSON),
        (b"Application/JSON; charset=UTF-8", JSON),
        (b"text/csv;header=present", CSV),
        (b"image/png", b"image/png"),
    ],
)
def test_media_type_comes_from_the_content_type_header(sent: bytes, media: bytes) -> None:
    assert RequestHeaders.of({b"content-type": sent}).media == media


def test_refuses_charsets_other_than_utf_8() -> None:
    with pytest.raises(UnsupportedMediaType, match="latin"):
        RequestHeaders.of({b"content-type": b"text/csv; charset=latin-1"})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (b"", CSV),
        (b"*/*", CSV),
        (b"application/json", JSON),
        (b"text/*", CSV),
        (b"text/csv;q=0.1, application/json;q=0.9", JSON),
        (b"text/csv;q=0, */*;q=0.1", CSV),
        (b"image/png, application/*", JSON),
    ],
)
def test_chooses_the_media_type_with_the_highest_quality(accept: bytes, chosen: bytes) -> None:
    assert RequestHeaders.of({b"accept": accept}).choose(CSV, JSON) == chosen


def test_refuses_an_accept_header_that_matches_nothing() -> None:
    with pytest.raises(NotAcceptable, match="the response can be text/csv, application/json"):
        RequestHeaders.of({b"accept": b"image/png"}).choose(CSV, JSON)


def test_unsupported_content_type_error_lists_the_supported_ones() -> None:
    head = RequestHeaders.of({b"content-type": b"text/csv"})
    assert head.require(CSV, ARROW) == CSV
    with pytest.raises(UnsupportedMediaType, match="unsupported content type text/csv; use application/json"):
        head.require(JSON)


@pytest.mark.parametrize(
    ("headers", "plain"),
    [
        ({}, True),
        ({b"accept": b"*/*", b"accept-encoding": b"gzip"}, True),
        ({b"accept": b"text/csv"}, False),
        ({b"content-encoding": b"gzip"}, False),
        ({b"inference-header-content-length": b"10"}, False),
        ({b"content-type": b"text/csv"}, False),
    ],
)
def test_is_plain_only_for_uncompressed_json_both_ways(headers: dict[bytes, bytes], plain: bool) -> None:
    assert RequestHeaders.of(headers).plain is plain


def test_refusal_has_an_error_message_and_retry_after() -> None:
    answer = Response.refusal(Overloaded('a "reason"', retry_after=5))
    assert answer.status == 503
    assert answer.body == b'{"error":"a \\"reason\\""}'
    assert dict(answer.headers) == {b"retry-after": b"5"}


def test_refusal_does_not_hold_the_memory_of_the_request() -> None:
    try:
        try:
            raise TimeoutError
        except TimeoutError as cause:
            raise Overloaded("busy") from cause
    except Overloaded as error:
        answer = Response.refusal(error)
    assert answer.error is not None
    assert answer.error.__traceback__ is None
    assert answer.error.__cause__ is None
    assert answer.error.__context__ is None


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
    assert RequestHeaders.of({b"accept-encoding": accepted}).response_coding == coding
