"""NDJSON streams: each record is answered as it arrives, for however long."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.streams import NDJSON, RecordStream
from tests.support.server import Server


@pytest.fixture
def stream(server: Server) -> Iterator[RecordStream]:
    with RecordStream(server.port) as opened:
        yield opened


def test_answers_each_record_before_the_next_is_sent(stream: RecordStream) -> None:
    assert stream.head.startswith(b"HTTP/1.1 200 OK\r\n")
    for i in range(5):
        stream.send(b'{"instance": %d}\n' % i)
        assert stream.receive() == [{"prediction": 938.25 * i + 152}]


def test_accepts_a_record_in_pieces_and_a_last_one_without_a_newline(stream: RecordStream) -> None:
    for piece in (b'{"inst', b'ance": 0}', b'\n{"instance":'):
        stream.send(piece)
    assert stream.receive() == [{"prediction": 152.0}]
    stream.send(b"[0]}")
    stream.finish_sending()
    assert stream.receive() == [{"prediction": 152.0}]
    assert stream.receive() == []


def test_continues_after_an_invalid_record(stream: RecordStream) -> None:
    stream.send(b'{"instance":0}\n\nnonsense\n{"instance":null}\n{"instance":1e308}\n{"instance":[0]}\n')
    assert stream.receive() == [
        {"prediction": 152.0},
        {"error": "record 1: it is not JSON: invalid character at byte 4"},
        {"error": "record 2: instance: expected a number, got null"},
        {"error": "record 3: instance: the prediction is beyond the range of a double"},
        {"prediction": 152.0},
    ]


def test_a_line_can_not_affect_the_next(stream: RecordStream) -> None:
    stream.send(b'{"instance":[0\n]}\n{"instance":1},{"instance":2}\n{"instance":1}],[{"instance":2}\n')
    assert ["error" in record for record in stream.receive()] == [True] * 4


def test_refuses_a_record_that_is_too_long(stream: RecordStream) -> None:
    for _ in range(18):
        stream.send(b"1" * 65536)
    assert stream.receive() == [{"error": "record 0: longer than 1048576 bytes"}]
    assert stream.receive() == []


def test_answers_a_hundred_thousand_records_in_order(stream: RecordStream) -> None:
    """They are read while they are sent: together they are longer than all buffers between."""
    records = [b'{"instance":%d}\n' % i for i in range(100_000)]
    parts = [b"".join(records[start : start + 1000]) for start in range(0, len(records), 1000)]
    sender = threading.Thread(target=lambda: list(map(stream.send, parts)))
    sender.start()
    answers: list[Any] = []
    while len(answers) < len(records):
        answers += stream.receive()
    sender.join()
    assert [answer["prediction"] for answer in answers] == [938.25 * i + 152 for i in range(100_000)]


def test_answers_records_of_several_features(wide_client: httpx.Client) -> None:
    body = b'{"instance":[1,10,100]}\n{"instance":[1,10]}\n'
    answer = wide_client.post("/stream", content=body, headers=NDJSON)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.splitlines() == [
        '{"prediction":539.0}',
        '{"error":"record 1: instance: expected 3 features, got 2"}',
    ]
