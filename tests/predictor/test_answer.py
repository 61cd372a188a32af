import pytest

from predictor.errors import NotAcceptable, UnsupportedMedia
from predictor.messages import ARROW, CSV, JSON, RequestHeaders, Response
from predictor.service.limits import Overloaded


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
def test_the_kind_of_a_body_is_its_content_type(sent: bytes, media: bytes) -> None:
    assert RequestHeaders.of({b"content-type": sent}).media == media


def test_another_charset_than_utf_8_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="latin"):
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
def test_the_kind_of_an_answer_is_what_is_accepted_most(accept: bytes, chosen: bytes) -> None:
    assert RequestHeaders.of({b"accept": accept}).choose(CSV, JSON) == chosen


def test_who_accepts_nothing_that_there_is_is_told_what_there_is() -> None:
    with pytest.raises(NotAcceptable, match="the answer can be text/csv, application/json"):
        RequestHeaders.of({b"accept": b"image/png"}).choose(CSV, JSON)


def test_a_kind_that_is_not_known_is_told_with_those_that_are() -> None:
    head = RequestHeaders.of({b"content-type": b"text/csv"})
    assert head.require(CSV, ARROW) == CSV
    with pytest.raises(
        UnsupportedMedia, match="content type text/csv is not known here, only application/json"
    ):
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
def test_plain_is_json_both_ways_with_nothing_around_it(headers: dict[bytes, bytes], plain: bool) -> None:
    assert RequestHeaders.of(headers).plain is plain


def test_a_refusal_says_what_and_when_to_come_again() -> None:
    answer = Response.refusal(Overloaded('a "reason"', retry_after=5))
    assert answer.status == 503
    assert answer.body == b'{"error":"a \\"reason\\""}'
    assert dict(answer.headers) == {b"retry-after": b"5"}
