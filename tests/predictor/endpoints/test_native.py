import json
from typing import Any

import pytest

from predictor.endpoints import native
from predictor.errors import InvalidInput
from predictor.messages import ARROW, CSV, JSON, Request, RequestHeaders
from tests.support.service import answer, make_service

ONE, TWO = make_service(), make_service((1.0, 10.0))


@pytest.mark.parametrize("instance", [[0.5, 1], {"bmi": 0.5, "bp": 1}, {"bp": 1, "bmi": 0.5}])
def test_takes_lists_and_objects(instance: Any) -> None:
    body = json.dumps({"instance": instance}).encode()
    assert answer(TWO, native.stream, body).body == b'{"prediction":162.5}'
    assert native.stream_value(TWO, json.dumps(instance), Request()).body == b'{"prediction":162.5}'
    body = json.dumps({"instances": [instance] * 300}).encode()
    assert json.loads(answer(TWO, native.batch, body).body) == {"predictions": [162.5] * 300}
    assert native.batch_value(TWO, json.dumps([instance]), Request()).body == b'{"predictions":[162.5]}'


@pytest.mark.parametrize("read", [native.stream_value, native.batch_value])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abc", "the value in the path is not JSON: invalid character at byte 0"),
        ("[0.5", "the value in the path is not JSON: it ends too early at byte 4"),
        ("\udcff", "the value in the path is not UTF-8: byte 0 is 0xff"),
        ("[" * 5000, "the value in the path is nested too deeply"),
        ("the body", "the value in the path is not JSON: invalid character at byte 1"),
        (" ", "the value in the path is empty"),
    ],
)
def test_says_that_the_value_in_the_path_is_wrong(read: Any, value: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(ONE, value, Request())
    assert str(raised.value) == message


def test_takes_hostile_names() -> None:
    names = ["a'b,\"c\n", "$\\{}", "\u202e\x7f"]
    service = make_service((1.0, 10.0, 100.0), features=names)
    row = dict(zip(reversed(names), (3, 2, 1), strict=True))
    for count in (1, 300):
        response = answer(service, native.batch, json.dumps({"instances": [row] * count}).encode())
        assert json.loads(response.body) == {"predictions": [473.0] * count}


@pytest.mark.parametrize(("media", "body"), [(JSON, b'{"instances":[[0.5],[1]]}'), (CSV, b"bmi\n0.5\n1\n")])
@pytest.mark.parametrize("accept", [JSON, CSV, ARROW])
def test_answers_in_the_type_that_is_accepted(media: bytes, body: bytes, accept: bytes) -> None:
    response = answer(ONE, native.batch, body, RequestHeaders(media, (accept,)))
    assert (response.status, response.content_type, response.rows) == (200, accept, 2)


def test_refuses_more_rows_than_allowed_in_every_form() -> None:
    service = make_service(max_rows=2)
    for media, body in ((JSON, b'{"instances":[1,2,3]}'), (CSV, b"1\n2\n3\n")):
        for padding in (b"", b" " * 2**11, b" " * 2**21):
            assert answer(service, native.batch, body + padding, RequestHeaders(media)).status == 413
