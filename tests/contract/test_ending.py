"""Ending: readiness first, nothing under way lost, exit 0."""

import contextlib
import signal
import socket
import time
from typing import TYPE_CHECKING

from tests.hold.balancer import REQUEST, Balancer

if TYPE_CHECKING:
    from tests.contract.conftest import StartServer


def test_no_request_is_lost_when_one_of_two_servers_ends_under_load(start_server: "StartServer") -> None:
    with start_server(drain_seconds=5) as staying, start_server(drain_seconds=5) as leaving:
        balancer = Balancer(staying.port, leaving.port)
        while min(balancer.answered.values()) < 200:
            time.sleep(0.01)
        leaving.process.send_signal(signal.SIGTERM)
        assert leaving.process.wait(60) == 0
        before = balancer.answered[staying.port]
        while balancer.answered[staying.port] < before + 200:
            time.sleep(0.01)
        balancer.stop()
        assert balancer.lost == []


def test_readiness_turns_false_first_while_requests_are_still_answered(start_server: "StartServer") -> None:
    with start_server(drain_seconds=60) as server:
        with server.http as client:
            assert client.get("/v2/health/ready").status_code == 200
            server.process.send_signal(signal.SIGTERM)
            while client.get("/v2/health/ready").status_code == 200:
                pass
            answer = client.post("/stream", json={"instance": 0.5})
            assert (answer.json(), answer.headers["connection"]) == ({"prediction": 621.125}, "close")
            assert client.get("/ping").text == "pong"
            assert client.get("/v2/health/live").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


def test_a_request_under_way_is_finished(start_server: "StartServer") -> None:
    with start_server() as server, socket.create_connection(("127.0.0.1", server.port), timeout=30) as wire:
        wire.sendall(REQUEST[:-5])
        with server.http as client:
            client.get("/ping")
            server.process.send_signal(signal.SIGTERM)
        wire.sendall(REQUEST[-5:])
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert answer.endswith(b'{"prediction":621.125}')
        assert server.process.wait(30) == 0


def test_a_server_that_was_killed_leaves_nothing_that_hurts_the_next(start_server: "StartServer") -> None:
    with start_server() as first:
        first.process.kill()
        first.process.wait()
        with start_server(first.folder) as second, second.http as client:
            assert client.get("/stream/0").json() == {"prediction": 152.0}


def test_a_thread_that_still_computes_does_not_hold_up_the_end(start_server: "StartServer") -> None:
    quoted = b'"0.5"\n' * 900_000
    with start_server(grace_seconds=1, answer_seconds=60) as server:
        head = b"POST /batch HTTP/1.1\r\nhost: x\r\ncontent-type: text/csv\r\ncontent-length: %d\r\n\r\n"
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                wire = socket.create_connection(("127.0.0.1", server.port), timeout=60)
                stack.enter_context(wire).sendall(head % len(quoted) + quoted)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(60) == 0
