"""One connection: the fast path, the parser, and responses that are not read."""

import pytest

from predictor.http import protocol
from tests.predictor.http.conftest import (
    PREDICTION,
    SMALL,
    UNKNOWN,
    Connect,
    Connection,
    large_head,
    never,
    read_body,
)
from tests.support.http import head, post


def test_answers_small_requests_at_once(connection: Connection) -> None:
    connection.protocol.data_received(SMALL)
    assert connection.transport.written.endswith(PREDICTION)
    assert connection.send(SMALL * 3).count(PREDICTION) == 3
    assert connection.asked == []


def test_body_may_arrive_in_later_packets(connection: Connection) -> None:
    start, body = SMALL[:-16], SMALL[-16:]
    for pieces in ((start, body), (start, body[:3], body[3:]), (SMALL + start, body + SMALL)):
        answers = connection.send(*pieces)
        assert answers.count(PREDICTION) == b"".join(pieces).count(body)
        assert answers.endswith(PREDICTION)
    assert connection.asked == []


def test_hands_a_late_body_to_the_application(connection: Connection) -> None:
    connection.application = read_body
    assert connection.send(SMALL[:-1]) == b""
    assert connection.asked == []
    assert connection.closed_at(101) == ""
    assert connection.send(SMALL[-1:]).endswith(b'{"instance":0.5}')
    assert connection.asked == ["/stream"]


@pytest.mark.parametrize("end", ["eof_received", "shutdown"])
def test_hands_buffered_bytes_to_the_application_at_the_end(connection: Connection, end: str) -> None:
    connection.send(SMALL[:-1])
    getattr(connection.protocol, end)()
    connection.run()
    assert connection.asked == ["/stream"]


def test_buffers_only_small_bodies(connection: Connection) -> None:
    connection.send(large_head(2000, "/stream") + b"x" * 10)
    assert connection.asked == ["/stream"]


def test_answers_many_requests_over_several_turns(connection: Connection) -> None:
    assert connection.send(SMALL * 3000).count(PREDICTION) == 3000
    assert not connection.transport.paused


def test_passes_other_requests_to_the_application(connection: Connection) -> None:
    assert connection.send(UNKNOWN).endswith(b"ok")
    assert connection.send(SMALL).endswith(PREDICTION)
    assert connection.asked == ["/x"]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_answers_in_order_however_requests_are_cut(connection: Connection, size: int) -> None:
    connection.application = read_body
    bodies = [b"a" * 50, b"", b"\r\n\r\n" * 20, b"c"]
    requests = b"".join(
        UNKNOWN + post("/y", body) + post("/y", body, chunk_size=9) + SMALL for body in bodies
    )
    packets = [requests[start : start + size] for start in range(0, len(requests), size)]
    answers = connection.send(*packets).split(b"HTTP/1.1 200 OK\r\n")[1:]
    found = [answer.partition(b"\r\n\r\n")[2].replace(b'{"instance":0.5}', PREDICTION) for answer in answers]
    assert found == [expected for body in bodies for expected in (b"", body, body, PREDICTION)]


def test_does_not_begin_a_request_before_the_one_before_it_is_answered(connection: Connection) -> None:
    connection.application = never
    assert connection.send(UNKNOWN + SMALL, SMALL) == b""
    assert connection.asked == ["/x"]
    assert connection.transport.paused
    assert connection.service.memory.used == 2 * len(SMALL)


@pytest.mark.parametrize(
    "malformed", [b"\0", b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"]
)
def test_refuses_a_malformed_request_behind_the_answers_before_it(
    connection: Connection, malformed: bytes
) -> None:
    answers = connection.send(UNKNOWN + SMALL + malformed + SMALL)
    assert answers.index(b"ok") < answers.index(PREDICTION) < answers.index(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"connection: close\r\n" in answers
    assert answers.count(PREDICTION) == 1
    assert connection.transport.finished


def test_lets_a_client_that_is_still_sending_read_the_refusal(connection: Connection) -> None:
    assert b"HTTP/1.1 400 " in connection.send(b"\0")
    assert connection.send(b"x" * 100_000, SMALL) == b""
    assert (connection.transport.closed, connection.transport.paused) == ("", False)
    assert not connection.protocol.eof_received()


def test_closes_a_refused_connection_once_the_client_has_sent_enough(connect: Connect) -> None:
    connection = connect(max_body_bytes=1000)
    connection.send(b"\0", b"x" * 999)
    assert connection.transport.closed == ""
    connection.send(b"x")
    assert connection.transport.closed == "closed"


def test_a_malformed_body_ends_its_request(connection: Connection) -> None:
    connection.application = never
    answer = connection.send(head("/y", {"transfer-encoding": "chunked"}) + b"nonsense\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert connection.protocol.cycle.disconnected


def test_gives_no_second_answer_to_a_request_with_a_malformed_body(connection: Connection) -> None:
    start = head("/y", {"transfer-encoding": "chunked"})
    assert connection.send(start).endswith(b"ok")
    assert connection.send(b"nonsense\r\n") == b""
    assert connection.transport.finished


@pytest.mark.parametrize("target", ["http://x", "http://x/", "https://other:1?a=b"])
def test_takes_an_absolute_target(connection: Connection, target: str) -> None:
    connection.send(head(target, method="GET"))
    assert connection.asked == ["/"]


def test_a_body_does_not_count_as_a_head(connect: Connect) -> None:
    connection = connect(max_header_bytes=1000)
    large = post("/y", b"x" * 100_000)
    answers = connection.send(large + UNKNOWN[:5], UNKNOWN[5:])
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 1000,
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 40,
        b"\r\n" * 600,
        head("/y", {"transfer-encoding": "chunked"}) + b"0\r\na: " + b"x" * 1000,
        head("/y", {"transfer-encoding": "chunked"}) + b"1;" + b"x" * 1000,
    ],
    ids=["field", "empty fields", "empty lines", "trailer", "chunk extension"],
)
def test_refuses_too_much_that_is_not_body(connect: Connect, start: bytes) -> None:
    connection = connect(max_header_bytes=1000)
    connection.application = never
    whole = connection.send(start)
    bytewise = connect(connection.service)
    bytewise.application = never
    for answer in (whole, bytewise.send(*(start[i : i + 1] for i in range(len(start))))):
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert answer.endswith(b'{"error":"the head of the request is longer than 1000 bytes"}')


def test_takes_any_number_of_short_chunks(connect: Connect) -> None:
    connection = connect(max_header_bytes=1000)
    connection.application = read_body
    assert connection.send(post("/y", b"x" * 5000, chunk_size=1)).endswith(b"x" * 5000)


def test_answers_nothing_while_the_client_does_not_read(connection: Connection) -> None:
    connection.stop_reading()
    assert connection.send(SMALL * 10, UNKNOWN) == b""
    assert connection.transport.paused
    held = 10 * len(SMALL) + len(UNKNOWN)
    assert connection.service.memory.used == connection.transport.unsent + held
    connection.transport.written = b""
    connection.read()
    assert connection.transport.written.count(PREDICTION) == 10
    assert connection.transport.written.endswith(b"ok")
    assert connection.service.memory.used == 0


@pytest.mark.parametrize("first", [b"", UNKNOWN])
def test_closes_behind_requests_for_which_there_is_no_memory(connect: Connect, first: bytes) -> None:
    connection = connect(max_memory_bytes=10_000)
    connection.application = never
    if not first:
        connection.stop_reading()
    connection.send(first + SMALL * 200)
    assert connection.service.memory.used <= 10_000
    assert connection.send(SMALL) == b""
    if first:
        assert not connection.protocol.cycle.keep_alive
    else:
        assert connection.transport.finished


def test_gives_memory_back_when_the_connection_is_lost(connection: Connection) -> None:
    connection.stop_reading()
    connection.send(SMALL)
    connection.protocol.connection_lost(None)
    connection.run()
    assert connection.service.memory.used == 0


def test_refuses_one_connection_too_many(connect: Connect) -> None:
    first = connect(max_connections=1)
    second = connect(first.service, first.state)
    assert second.transport.written.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in second.transport.written
    assert first.service.metrics.rejected["connections"] == 1
    assert second.send(SMALL) == b""


def test_refuses_to_run_on_other_versions_of_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol.check_versions()
    monkeypatch.setitem(protocol.TESTED_VERSIONS, "uvicorn", "0.1")
    with pytest.raises(ValueError, match=r"uvicorn .* is installed; this server needs uvicorn 0\.1"):
        protocol.check_versions()
