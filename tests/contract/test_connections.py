"""Connections that are slow, stuck or greedy neither disturb others nor lose answers."""

import contextlib
import json
import threading
import time

import pytest

from tests.contract.observations import scrape
from tests.support.http import PATIENCE, head
from tests.support.processes import wait_until
from tests.support.server import Server, start_predictor

ROWS = 500_000
LARGE = b'{"instances":[' + b"7," * (ROWS - 1) + b"7]}"
"""A body within the limit of the limited server whose answer is larger than the buffers of a socket."""
EVENT = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "x", "ce-id": "1"}
V1 = "/v1/models/linear-regressor:predict"
MEMORY = "predictor_body_memory_bytes"
INSTANCE = b'{"instance":0.5}'


def post_head(length: int, path: str = "/batch", headers: dict[str, str] | None = None) -> bytes:
    return head(path, {**(headers or {}), "content-length": str(length)})


@pytest.mark.slow
def test_slow_reader_receives_the_whole_answer() -> None:
    """It reads for several times as long as a connection may be idle."""
    flags = ("--timeout-keep-alive", "1")
    with (
        start_predictor(flags=flags, head_seconds=1) as server,
        server.connect(receive_buffer=4096) as connection,
    ):
        sender = threading.Thread(target=connection.send, args=(post_head(len(LARGE)) + LARGE,))
        sender.start()
        received = bytearray()
        for _ in range(40):
            received += connection.socket.recv(8192)
            time.sleep(0.1)  # what makes the reader slow
        received += connection.read_to(b"]}")
        sender.join()
    start, _, body = bytes(received).partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body) == {"predictions": [6719.75] * ROWS}


def test_cuts_off_a_client_that_reads_nothing_and_frees_its_memory(limited_server: Server) -> None:
    def counted() -> float:
        requests = scrape(limited_server).get("predictor_requests_total", {})
        return sum(value for labels, value in requests.items() if ("endpoint", "batch") in labels)

    before = counted()
    with limited_server.connect(receive_buffer=4096) as connection:
        connection.send(post_head(len(LARGE)) + LARGE)
        wait_until(lambda: counted() > before, what="the request to be counted")
        wait_until(lambda: limited_server.metric(MEMORY) == 0, what="the memory to be freed", interval=0.1)
        assert not connection.read_until_closed().endswith(b"]}")


def test_does_not_wait_for_the_rest_of_a_body_that_was_answered(hasty_server: Server) -> None:
    refused = {"content-type": "application/xml", "content-encoding": "br"}
    stopped = threading.Event()
    with hasty_server.connect() as unknown, hasty_server.connect() as refusing:
        unknown.send(post_head(1000, "/nowhere", refused))
        refusing.send(post_head(1000, "/batch", refused))

        def trickle() -> None:
            while not stopped.wait(0.2):
                for connection in (unknown, refusing):
                    with contextlib.suppress(OSError):
                        connection.send(b" ")

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            answers = [connection.read_until_closed() for connection in (unknown, refusing)]
        finally:
            stopped.set()
            sender.join()
    for answer in answers:
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 408 "))


def test_answers_any_number_of_pipelined_requests_in_order(server: Server) -> None:
    requests = b"".join(head(f"/stream/{i}", method="GET") for i in range(3000))
    answers = server.exchange(requests, half_close=True).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(answers) == 3000
    for i, answer in enumerate(answers):
        assert answer.endswith(b'{"prediction":%b}' % str(938.25 * i + 152).encode())


def test_answers_the_requests_before_a_malformed_one(server: Server) -> None:
    good = b"".join(head(f"/stream/{i}", method="GET") for i in range(3))
    answers = server.exchange(good + b"nonsense\r\n\r\n" + good)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answers.index(b'{"prediction":2028.5}') < answers.index(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("start", [b"\0", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\na: "])
def test_a_client_that_sends_on_can_read_why_it_was_refused(server: Server, start: bytes) -> None:
    answer = server.exchange(start + b"\0" * 2**24)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert answer.endswith(b'"}')


@pytest.mark.parametrize("fields", [b"", b"host: x\r\nhost: x\r\n", b"host: a b\r\n", b"host: x/y\r\n"])
@pytest.mark.parametrize("path", [b"/ping", b"/stream"])
def test_needs_one_valid_host_field(server: Server, path: bytes, fields: bytes) -> None:
    method = b"POST" if path == b"/stream" else b"GET"
    request = method + b" " + path + b" HTTP/1.1\r\n" + fields + b"content-length: 16\r\n\r\n" + INSTANCE
    answer = server.exchange(request)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Host field" in answer


def test_takes_an_absolute_target_without_a_path(server: Server) -> None:
    page = server.exchange(head("/", {"connection": "close"}, method="GET"))
    assert server.exchange(head("http://x", {"connection": "close"}, method="GET"))[-100:] == page[-100:]


def test_limits_the_time_that_a_small_body_takes_to_arrive(hasty_server: Server) -> None:
    """Also when its head is known, and however often a byte arrives."""
    with hasty_server.connect() as connection:
        connection.send(post_head(len(INSTANCE), "/stream") + INSTANCE)
        assert connection.read_response().status == 200
        connection.send(post_head(len(INSTANCE), "/stream"))
        connection.socket.settimeout(0.2)
        for i in range(len(INSTANCE) - 1):
            connection.send(INSTANCE[i : i + 1])
            with contextlib.suppress(TimeoutError):
                connection.read_to(b"HTTP/1.1 408 ")
                return
        connection.socket.settimeout(PATIENCE)
        connection.read_to(b"HTTP/1.1 408 ")


def test_counts_responses_that_are_not_read_against_the_memory_budget(server: Server) -> None:
    with server.connect(receive_buffer=4096) as connection:
        connection.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            connection.send(head("/docs", method="GET") * 5000)
        wait_until(lambda: server.metric(MEMORY) > 0, what="responses that wait")
    wait_until(lambda: server.metric(MEMORY) == 0, what="the memory to be freed", interval=0.1)


def test_counts_empty_fields_towards_the_length_of_a_head(server: Server) -> None:
    answer = server.exchange(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 600)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_limits_the_length_of_cloud_events(limited_server: Server) -> None:
    whole = post_head(2**20 + 1, V1, EVENT)
    chunked = head(V1, EVENT | {"transfer-encoding": "chunked"}) + b"100001\r\n" + b" " * (2**20 + 1)
    for request in (whole, chunked):
        answer = limited_server.exchange(request)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'{"error":"the body is longer than 1048576 bytes"}' in answer


def test_limits_the_time_that_a_cloud_event_takes_to_arrive(hasty_server: Server) -> None:
    answer = hasty_server.exchange(post_head(30, V1, EVENT) + b'{"instances": ')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer
    wait_until(lambda: hasty_server.metric(MEMORY) == 0, what="the memory to be freed")


def test_answers_a_client_that_has_closed_its_sending_direction(server: Server) -> None:
    """However its requests are read; those that are incomplete are dropped."""
    wanted = b"".join(head(f"/stream/{i}", method="GET") for i in range(5))
    answers = server.exchange(post_head(len(LARGE)) + LARGE + wanted, half_close=True)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 6
    assert answers.endswith(b'{"prediction":3905.0}')
    assert server.exchange(post_head(30) + b'{"instances"', half_close=True) == b""
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("headers", [EVENT, {"content-type": "application/cloudevents+json"}])
@pytest.mark.parametrize("body", [b"{}", b'{"instances": "x"}', b"[1]", b"\xff", b'{"specversion": 7}'])
def test_blames_the_sender_for_an_invalid_cloud_event(
    server: Server, body: bytes, headers: dict[str, str]
) -> None:
    answer = server.exchange(post_head(len(body), V1, {**headers, "connection": "close"}) + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":"' in answer
    assert "Traceback" not in server.log.read_text()
