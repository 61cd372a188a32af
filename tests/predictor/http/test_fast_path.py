"""Responses without the application: recorded, refused, and left to the application."""

from collections.abc import Callable

import numpy as np
import pytest

from predictor.codecs.cost import TooCostly
from predictor.feedback.recorder import Predicted
from predictor.service.auth import Authorizer
from tests.predictor.http.conftest import Connection, MakeService
from tests.support.http import post

Connect = Callable[..., Connection]

STREAM = b'{"instance":0.5}'
V2 = b'{%b"inputs":[{"name":"x","shape":[2,1],"datatype":"FP64","data":[0,1]}]}'
INFER = "/v2/models/linear-regressor/infer"


class Recording:
    """Takes what is recorded for feedback."""

    def __init__(self) -> None:
        self.items: list[Predicted] = []

    def record_predictions(self, item: Predicted) -> None:
        self.items.append(item)


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest.fixture
def recorded(connect: Connect, make_service: MakeService, recording: Recording) -> Connection:
    """A connection to a service that records predictions."""
    return connect(make_service(recorder=recording))


def test_records_predictions_under_the_id_of_the_client(recorded: Connection, recording: Recording) -> None:
    answer = recorded.send(post("/stream", STREAM, {"X-Request-ID": "abc"}))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nx-request-id: abc\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"prediction":621.625}')
    recorded.send(post("/batch", b'{"instances":[[0],1]}', {"x-request-id": "def"}))
    first, second = recording.items
    assert (first.id, first.inputs.names, first.version) == ("abc", ("bmi",), "7")
    assert (np.array(first.rows).tolist(), list(first.values)) == ([[0.5]], [621.625])
    assert (second.id, np.array(second.rows).tolist()) == ("def", [[0], [1]])
    assert recorded.asked == []


@pytest.mark.parametrize("fields", [{}, {"x-request-id": "no id"}, {"x-request-id": "\xe4"}])
def test_gives_a_random_id_to_a_request_without_a_plain_one(
    recorded: Connection, recording: Recording, fields: dict[str, str]
) -> None:
    for _ in range(2):
        answer = recorded.send(post("/stream", STREAM, fields))
        assert b"x-request-id: %b\r\n" % recording.items[-1].id.encode() in answer
    assert len({item.id for item in recording.items}) == 2
    assert {len(item.id) for item in recording.items} == {32}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(b'"id":"body",', "body"), (b'"id":"",', "head"), (b"", "head"), (b'"id":null,', "head")],
)
def test_the_id_in_a_body_comes_before_the_one_in_the_head(
    recorded: Connection, recording: Recording, given: bytes, wanted: str
) -> None:
    recorded.send(post(INFER, V2 % given, {"x-request-id": "head"}))
    recorded.send(
        post(INFER, V2 % (b'"outputs":[{"name":"predictions"}],' + given), {"x-request-id": "head"})
    )
    assert [item.id for item in recording.items] == [wanted, wanted]
    assert recorded.asked == []


def test_records_the_rows_of_a_longer_body_too(recorded: Connection, recording: Recording) -> None:
    body = b'{"instances":[%b]}' % b",".join([b"0.5"] * 1000)
    assert b"\r\nx-request-id: long\r\n" in recorded.send(post("/batch", body, {"x-request-id": "long"}))
    assert [(item.id, len(item.values)) for item in recording.items] == [("long", 1000)]


def test_refuses_a_body_for_which_there_is_no_memory(connect: Connect) -> None:
    connection = connect(max_memory_bytes=5000)
    body = b'{"instances":[%b]}' % b",".join([b"0.5"] * 1000)
    answer = connection.send(post("/batch", body))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert connection.service.metrics.rejected["memory"] == 1
    assert connection.send(post("/stream", STREAM)).startswith(b"HTTP/1.1 200 ")


def test_leaves_what_would_take_long_to_the_application(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise TooCostly

    monkeypatch.setattr(connection.service, "compute", refuse)
    assert connection.send(post("/batch", b'{"instances":["x"]}')).endswith(b"ok")
    assert connection.asked == ["/batch"]


def test_checks_credentials_and_logs_requests_for_an_administrator(
    connect: Connect, make_service: MakeService
) -> None:
    service = make_service(Authorizer("optional", "admin"))
    connection = connect(service)
    wrong = connection.send(post("/stream", STREAM, {"authorization": "Bearer wrong"}))
    assert wrong.startswith(b"HTTP/1.1 401 ")
    right = post("/stream", STREAM, {"authorization": "Bearer admin"})
    assert connection.send(right, right).count(b"HTTP/1.1 200 ") == 2
    assert [entry[3] for entry in service.request_log.entries] == [401, 200, 200]
