"""Large bodies that are refused at their heads, and what comes behind them."""

import pytest

from tests.predictor.http.conftest import (
    BUSY,
    PREDICTION,
    SMALL,
    UNKNOWN,
    Connection,
    fill_queue,
    large_head,
)
from tests.support.http import head


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
    for answer in (first, *(connection.send_to_socket(whole) for _ in range(3))):
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(BUSY)
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


def test_does_not_read_while_a_body_is_discarded(connection: Connection) -> None:
    """The client reads late: when the transport may write again, it must not begin to read."""
    fill_queue(connection)
    connection.send(large_head(600_000))
    assert connection.transport.paused
    connection.stop_reading()
    connection.read()
    assert connection.transport.paused
    assert connection.send_to_socket(b"x" * 600_000) == b""
    assert connection.send_to_socket(SMALL).endswith(PREDICTION)
    assert not connection.transport.paused


def test_reads_again_after_a_discarded_body_however_the_client_reads(connection: Connection) -> None:
    fill_queue(connection)
    for _ in range(3):
        connection.send(large_head(600_000))
        connection.stop_reading()
        assert connection.send_to_socket(b"x" * 600_000 + UNKNOWN + SMALL) == b""
        connection.transport.written = b""
        connection.read()
        assert connection.transport.written.index(b"ok") < connection.transport.written.index(PREDICTION)
        assert not connection.transport.paused
    assert connection.asked == ["/x"] * 3
