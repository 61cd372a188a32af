"""One connection: the fast path, the parser, refusals and the end."""

from collections.abc import Callable
from typing import Any

import pytest

from predictor.http import protocol
from tests.predictor.http.conftest import Connection
from tests.support.http import head, post

SMALL = post("/stream", b'{"instance":0.5}')
PREDICTION = b'{"prediction":621.625}'
UNKNOWN = head("/x", method="GET")
BUSY = b'{"error":"too many large requests are waiting"}'

Connect = Callable[..., Connection]


def large_head(length: int, path: str = "/batch", method: str = "POST", **fields: str) -> bytes:
    return head(path, {**fields, "content-length": str(length)}, method=method)


def fill_queue(connection: Connection) -> None:
    connection.service.executor.jobs = connection.service.executor.capacity


async def never(_scope: Any, receive: Any, _send: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(_scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


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


def test_refuses_a_large_body_at_its_head_when_busy_and_discards_it(connection: Connection) -> None:
    fill_queue(connection)
    answer = connection.send(large_head(600_000) + b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1\r\n" in answer
    assert answer.endswith(BUSY)
    assert connection.send_to_socket(b"x" * 599_000) == b""
    assert connection.send_to_socket(SMALL).endswith(PREDICTION)
    assert connection.send(SMALL).endswith(PREDICTION)
    assert connection.service.metrics.rejected["busy"] == 1
    assert connection.asked == []
    connection.service.executor.jobs = 0
    assert connection.send(large_head(600_000)).endswith(b"ok")
    assert connection.asked == ["/batch"]


def test_refuses_repeated_large_requests_on_one_connection(connection: Connection) -> None:
    fill_queue(connection)
    whole = large_head(600_000) + b"x" * 600_000
    first = connection.send(large_head(600_000))
    assert connection.send_to_socket(b"x" * 600_000) == b""
    assert [connection.send_to_socket(whole) for _ in range(3)] == [first] * 3
    mixed = connection.send_to_socket(SMALL + whole)
    assert mixed.index(PREDICTION) < mixed.index(b"503")
    assert connection.send_to_socket(SMALL).endswith(PREDICTION)
    assert connection.send(SMALL * 2 + whole + SMALL + whole + SMALL).count(BUSY) == 2


def test_reads_and_discards_a_refused_body_over_tls(connection: Connection) -> None:
    fill_queue(connection)
    connection.protocol.scheme = "https"
    whole = large_head(600_000) + b"x" * 600_000
    assert connection.send(whole[:1000], whole[1000:] + SMALL + whole).count(BUSY) == 2


@pytest.mark.parametrize(
    "start",
    [
        large_head(2000),
        large_head(2**25 + 1),
        large_head(600_000, "/stream"),
        large_head(600_000, expect="100-continue"),
        large_head(600_000, connection="close"),
        head("/batch", {"content-length": "600000", "ce-specversion": "1.0"}),
        large_head(600_000, method="PUT"),
    ],
)
def test_passes_unusual_large_requests_to_the_application_when_busy(
    connection: Connection, start: bytes
) -> None:
    fill_queue(connection)
    connection.send(start)
    assert len(connection.asked) == 1


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


def test_closes_when_a_client_that_sends_no_more_is_answered(
    connect: Connect, connection: Connection
) -> None:
    assert connection.protocol.eof_received() is False
    other = connect(connection.service)
    other.protocol.data_received(UNKNOWN + SMALL)
    other.protocol.scheme = "http"
    assert other.protocol.eof_received()
    other.run()
    assert other.transport.written.endswith(PREDICTION)
    assert other.transport.closed == "closed"


def test_drops_an_incomplete_request_of_a_client_that_sends_no_more(connection: Connection) -> None:
    connection.application = never
    connection.send(large_head(10, "/y") + b"x")
    assert connection.protocol.eof_received() is False
    assert connection.protocol.cycle.disconnected
    assert connection.transport.closed == "closed"


def test_shutdown_closes_an_idle_connection_and_waits_for_a_response(
    connect: Connect, connection: Connection
) -> None:
    connection.protocol.data_received(UNKNOWN)
    connection.protocol.shutdown()
    assert connection.transport.closed == ""
    connection.run()
    assert connection.transport.closed == "closed"
    assert b"connection: close\r\n" in connection.transport.written
    idle = connect(connection.service)
    idle.protocol.shutdown()
    assert idle.transport.closed == "closed"


def test_shutdown_lets_a_client_that_is_still_sending_read_its_response(connection: Connection) -> None:
    connection.send(large_head(10, "/y"))
    connection.protocol.shutdown()
    assert (connection.transport.finished, connection.transport.closed) == (True, "")


def test_closes_an_idle_connection_some_time_after_the_last_answer(
    connect: Connect, clock: list[float]
) -> None:
    connection = connect()
    connection.send(UNKNOWN)
    assert connection.closed_at(100) == ""
    assert connection.closed_at(105) == ""
    assert connection.closed_at(105.1) == "closed"


def test_connection_with_an_incomplete_answer_is_not_idle(connect: Connect, clock: list[float]) -> None:
    connection = connect()
    connection.protocol.data_received(UNKNOWN)
    assert connection.closed_at(1000) == ""
    clock[0] = 1000
    connection.run()
    assert connection.closed_at(1004.9) == ""
    assert connection.closed_at(1005.1) == "closed"


def test_closes_connection_when_headers_stay_incomplete(connect: Connect, clock: list[float]) -> None:
    connection = connect(head_seconds=2)
    connection.send(b"GET /x HTTP/1.1\r\n")
    clock[0] = 101.9
    connection.send(b"a: b\r\n")
    assert connection.closed_at(102) == ""
    assert connection.closed_at(102.1) == "closed"


@pytest.mark.parametrize("busy", [True, False])
def test_closes_connection_when_an_unwanted_body_stays_incomplete(
    connect: Connect, clock: list[float], busy: bool
) -> None:
    connection = connect(read_seconds=3)
    if busy:
        fill_queue(connection)
    connection.send(large_head(600_000))
    clock[0] = 102.9
    connection.send(b"x")
    assert connection.closed_at(103) == ""
    assert connection.closed_at(103.1) == "closed"


def test_aborts_a_client_that_stops_reading_but_not_a_slow_one(connection: Connection) -> None:
    for now in range(100, 130, 3):
        connection.transport.unsent = 1000 - now
        assert connection.closed_at(now) == ""
    assert connection.closed_at(131) == ""
    assert connection.closed_at(131.1) == "aborted"


def test_refuses_to_run_on_other_versions_of_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol.check_versions()
    monkeypatch.setitem(protocol.TESTED_VERSIONS, "uvicorn", "0.1")
    with pytest.raises(ValueError, match=r"uvicorn .* is installed; this server needs uvicorn 0\.1"):
        protocol.check_versions()
