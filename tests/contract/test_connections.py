"""Connections that are slow, stuck or greedy: none costs another one anything, and none loses an answer."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Server, StartServer

ROWS = 250_000
LARGE = json.dumps({"instances": [0.123456789] * ROWS}).encode()
EVENT = "ce-specversion: 1.0\r\nce-type: x\r\nce-source: x\r\nce-id: 1\r\n"
V1 = "/v1/models/linear-regressor:predict"


@pytest.fixture(scope="module")
def impatient(start_server: "StartServer") -> Iterator["Server"]:
    """A server that waits for no body longer than a second."""
    with start_server(read_seconds=1) as running:
        yield running


def connect(server: "Server", receive_buffer: int | None = None) -> socket.socket:
    wire = socket.socket()
    if receive_buffer:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    wire.settimeout(60)
    wire.connect(("127.0.0.1", server.port))
    return wire


def head(length: int, path: str = "/batch", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {length}\r\n\r\n".encode()


def everything(wire: socket.socket) -> bytes:
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionError):
        while part := wire.recv(65536):
            parts.append(part)
    return b"".join(parts)


def taken(server: "Server") -> float:
    """What bodies under way take of the memory, by the metrics."""
    with server.http as client:
        lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("inference_memory_bytes "))


def test_a_slow_reader_gets_every_byte_however_long_it_takes(start_server: "StartServer") -> None:
    """It reads for several times as long as a connection may be idle."""
    with start_server(flags=("--timeout-keep-alive", "1"), head_seconds=1) as server:
        with connect(server, receive_buffer=4096) as wire:
            sender = threading.Thread(target=wire.sendall, args=(head(len(LARGE)) + LARGE,))
            sender.start()
            received = bytearray()
            for _ in range(40):
                received += wire.recv(8192)
                time.sleep(0.1)
            while not received.endswith(b"]}") and (more := wire.recv(65536)):
                received += more
            sender.join()
        start, _, body = bytes(received).partition(b"\r\n\r\n")
        assert start.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(body) == {"predictions": [938.25 * 0.123456789 + 152] * ROWS}


def test_a_client_that_takes_nothing_is_cut_off_and_its_memory_given_back(
    start_server: "StartServer",
) -> None:
    with start_server(write_seconds=1) as server, connect(server, receive_buffer=4096) as wire:
        wire.sendall(head(len(LARGE)) + LARGE)
        while taken(server) == 0:
            time.sleep(0.01)
        while taken(server) > 0:
            time.sleep(0.1)
        assert not everything(wire).endswith(b"]}")


@pytest.mark.parametrize("path", ["/nowhere", "/batch"])
def test_the_rest_of_a_body_that_is_answered_already_is_not_waited_for(
    impatient: "Server", path: str
) -> None:
    with connect(impatient) as wire:
        wire.sendall(head(1000, path, "content-type: application/xml\r\ncontent-encoding: br\r\n"))
        stopped = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not stopped.wait(0.2):
                    wire.sendall(b" ")

        sender = threading.Thread(target=trickle)
        sender.start()
        answer = everything(wire)
        stopped.set()
        sender.join()
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 408 "))


def test_requests_that_wait_on_one_connection_are_bounded(server: "Server") -> None:
    """Those that were taken are answered in order, and the connection ends with the last of them."""
    with connect(server) as wire:
        with contextlib.suppress(ConnectionError):
            wire.sendall(b"".join(b"GET /stream/%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(3000)))
        answers = everything(wire).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert 100 < len(answers) < 3000
    for i, answer in enumerate(answers):
        assert answer.endswith(b'{"prediction":%b}' % str(938.25 * i + 152).encode())
    assert [b"connection: close" in answer for answer in answers] == [False] * (len(answers) - 1) + [True]


def test_fields_without_a_content_count_in_a_head_too(server: "Server") -> None:
    with connect(server) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 600)
        assert everything(wire).startswith(b"HTTP/1.1 431 ")


def test_what_kserve_answers_itself_is_bounded_too(impatient: "Server") -> None:
    for wire_head in (
        head(2**20 + 1, V1, EVENT),
        f"POST {V1} HTTP/1.1\r\nhost: x\r\n{EVENT}transfer-encoding: chunked\r\n\r\n".encode()
        + b"100001\r\n"
        + b" " * (2**20 + 1),
    ):
        with connect(impatient) as wire:
            wire.sendall(wire_head)
            answer = everything(wire)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'{"error":"the body is longer than 1048576 bytes"}' in answer
    with connect(impatient) as wire:
        wire.sendall(head(30, V1, EVENT) + b'{"instances": ')
        answer = everything(wire)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer
    assert taken(impatient) == 0


def test_a_client_that_sends_no_more_still_gets_what_it_asked_for(server: "Server") -> None:
    """Whichever way its requests take; those that are not complete are given up."""
    wanted = b"".join(b"GET /stream/%d HTTP/1.1\r\nhost: x\r\n\r\n" % i for i in range(5))
    answers = server.exchange(head(len(LARGE)) + LARGE + wanted, half_close=True)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 6
    assert answers.endswith(b'{"prediction":3905.0}')
    assert server.exchange(head(30) + b'{"instances"', half_close=True) == b""
    assert "Traceback" not in server.log.read_text()


def test_a_cloud_event_that_can_not_be_read_is_the_fault_of_its_sender(server: "Server") -> None:
    for body in (b"{}", b'{"instances": "x"}', b"[1]", b"\xff", b'{"specversion": 7}'):
        for fields in (EVENT, "content-type: application/cloudevents+json\r\n"):
            with connect(server) as wire:
                wire.sendall(head(len(body), V1, fields + "connection: close\r\n") + body)
                answer = everything(wire)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b'{"error":"' in answer
    assert "Traceback" not in server.log.read_text()
