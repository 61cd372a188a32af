"""NDJSON streams: each record answered as it arrives, for however long."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Server, StartServer

HEAD = (
    b"POST /stream HTTP/1.1\r\nhost: x\r\n"
    b"content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
)
NDJSON = {"content-type": "application/x-ndjson"}


class Stream:
    """A stream of records on a connection of its own."""

    def __init__(self, server: "Server") -> None:
        self.wire = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.wire.sendall(HEAD)
        self.file = self.wire.makefile("rb")
        self.status = self.file.readline()
        while self.file.readline().strip():
            pass

    def send(self, data: bytes) -> None:
        self.wire.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def receive(self) -> list[Any]:
        """The records of the next chunk; none at the end."""
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        self.file.readline()
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def stream(server: "Server") -> Iterator[Stream]:
    opened = Stream(server)
    yield opened
    opened.file.close()
    opened.wire.close()


def test_each_record_is_answered_before_the_next_is_sent(stream: Stream) -> None:
    assert stream.status == b"HTTP/1.1 200 OK\r\n"
    for i in range(5):
        stream.send(b'{"instance": %d}\n' % i)
        assert stream.receive() == [{"prediction": 938.25 * i + 152}]


def test_a_record_may_arrive_in_pieces_and_the_last_needs_no_line_end(stream: Stream) -> None:
    for piece in (b'{"inst', b'ance": 0}', b'\n{"instance":'):
        stream.send(piece)
    assert stream.receive() == [{"prediction": 152.0}]
    stream.send(b"[0]}")
    stream.wire.sendall(b"0\r\n\r\n")
    assert stream.receive() == [{"prediction": 152.0}]
    assert stream.receive() == []


def test_a_bad_record_gets_its_error_and_the_stream_goes_on(stream: Stream) -> None:
    stream.send(b'{"instance":0}\n\nnonsense\n{"instance":null}\n{"instance":1e308}\n{"instance":[0]}\n')
    assert stream.receive() == [
        {"prediction": 152.0},
        {"error": "record 1: it is not JSON: Expecting value at character 0"},
        {"error": "record 2: instance: expected a number, got null"},
        {"error": "record 3: instance: the prediction is beyond the range of a double"},
        {"prediction": 152.0},
    ]


def test_no_line_can_reach_into_another(stream: Stream) -> None:
    stream.send(b'{"instance":[0\n]}\n{"instance":1},{"instance":2}\n{"instance":1}],[{"instance":2}\n')
    assert ["error" in record for record in stream.receive()] == [True] * 4


def test_a_record_without_an_end_is_refused(stream: Stream) -> None:
    for _ in range(18):
        stream.send(b"1" * 65536)
    assert stream.receive() == [{"error": "record 0: longer than 1048576 bytes"}]
    assert stream.receive() == []


def test_a_hundred_thousand_records_come_back_in_order(stream: Stream) -> None:
    """Read while they are sent: together they are longer than every buffer on the way."""
    records = [b'{"instance":%d}\n' % i for i in range(100_000)]
    parts = [b"".join(records[start : start + 1000]) for start in range(0, len(records), 1000)]
    sender = threading.Thread(target=lambda: list(map(stream.send, parts)))
    sender.start()
    answers: list[Any] = []
    while len(answers) < len(records):
        answers += stream.receive()
    sender.join()
    assert [answer["prediction"] for answer in answers] == [938.25 * i + 152 for i in range(100_000)]


def test_records_of_several_features(wide: httpx.Client) -> None:
    body = b'{"instance":[1,10,100]}\n{"instance":[1,10]}\n'
    answer = wide.post("/stream", content=body, headers=NDJSON)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.splitlines() == [
        '{"prediction":539.0}',
        '{"error":"record 1: instance: expected 3 features, got 2"}',
    ]


def test_a_stream_ends_at_a_record_and_says_where_when_the_server_ends(start_server: "StartServer") -> None:
    with start_server() as server:
        stream = Stream(server)
        stream.send(b'{"instance":0}\n{"instance":0}\n{"inst')
        assert stream.receive() == [{"prediction": 152.0}] * 2
        server.process.terminate()
        assert stream.receive() == [{"end": "the server is ending", "records": 2}]
        stream.wire.sendall(b"0\r\n\r\n")
        assert stream.receive() == []
        assert server.process.wait(30) == 0


def test_a_stream_that_ended_goes_on_elsewhere(start_server: "StartServer") -> None:
    """Every record is answered once: the last line of the first server says how many were."""
    records = [b'{"instance":%d}\n' % i for i in range(5000)]
    with start_server() as ending, start_server() as staying:
        stream = Stream(ending)
        stream.send(b"".join(records[:2000]) + b'{"inst')
        answers = stream.receive()
        ending.process.terminate()
        while "end" not in answers[-1]:
            answers += stream.receive()
        answered = answers.pop()["records"]
        assert len(answers) == answered == 2000
        stream = Stream(staying)
        sender = threading.Thread(target=stream.send, args=(b"".join(records[answered:]),))
        sender.start()
        while len(answers) < len(records):
            answers += stream.receive()
        sender.join()
        assert [answer["prediction"] for answer in answers] == [938.25 * i + 152 for i in range(5000)]
