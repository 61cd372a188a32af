"""How a connection ends: by its client, by the server, and by timers."""

from typing import Any

import pytest

from tests.predictor.http.conftest import (
    PREDICTION,
    SMALL,
    UNKNOWN,
    Connect,
    Connection,
    fill_queue,
    large_head,
    never,
)
from tests.support.http import head


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


def test_drops_an_incomplete_small_request_behind_one_that_is_answered(connection: Connection) -> None:
    connection.protocol.data_received(UNKNOWN + SMALL + SMALL[:-3])
    assert connection.protocol.eof_received()
    connection.run()
    assert connection.transport.written.index(b"ok") < connection.transport.written.index(PREDICTION)
    assert connection.transport.closed == "closed"


@pytest.mark.parametrize("malformed", [b"\0", head("/y", {"transfer-encoding": "chunked"}) + b"xyz"])
def test_closes_at_once_when_it_refuses_a_client_that_sends_no_more(
    connection: Connection, malformed: bytes
) -> None:
    connection.protocol.data_received(UNKNOWN + malformed)
    assert connection.protocol.eof_received()
    connection.run()
    assert b"HTTP/1.1 400 " in connection.transport.written
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


def test_a_refused_client_is_not_told_to_continue(connect: Connect) -> None:
    received: list[str] = []

    async def receive_once(_scope: Any, receive: Any, _send: Any) -> None:
        received.append((await receive())["type"])

    connection = connect()
    connection.application = receive_once
    fields = {"transfer-encoding": "chunked", "expect": "100-continue"}
    answer = connection.send(head("/batch", fields) + b"no chunk\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert received == ["http.disconnect"]
    assert b"100 Continue" not in answer
    assert connection.transport.finished
