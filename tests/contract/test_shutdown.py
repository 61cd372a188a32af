"""Shutdown: readiness turns false first, no request under way is lost, the exit code is 0."""

import contextlib
import signal
import threading
from typing import Any

from tests.contract.streams import RecordStream
from tests.hold.balancer import REQUEST, Balancer
from tests.support.http import PATIENCE, head
from tests.support.processes import wait_until
from tests.support.server import Server, start_predictor


def test_loses_no_request_when_one_of_two_servers_ends_under_load(server: Server) -> None:
    with start_predictor(drain_seconds=600) as leaving, contextlib.ExitStack() as stack:
        balancer = Balancer(server.port, leaving.port)
        stack.callback(balancer.stop)
        wait_until(lambda: min(balancer.answered.values()) >= 200, what="requests to both servers")
        leaving.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not balancer.ready[leaving.port], what="readiness to turn false")
        wait_for_more(balancer, server.port)
        leaving.process.send_signal(signal.SIGTERM)
        assert leaving.process.wait(PATIENCE) == 0
        wait_for_more(balancer, server.port)
    assert balancer.lost == []


def wait_for_more(balancer: Balancer, port: int) -> None:
    before = balancer.answered[port]
    wait_until(lambda: balancer.answered[port] >= before + 200, what=f"more answers of port {port}")


def test_answers_while_draining_and_finishes_what_is_under_way(server: Server) -> None:
    """A second SIGTERM ends the draining; a client continues its stream of records with another server."""
    records = [b'{"instance":%d}\n' % i for i in range(5000)]
    with contextlib.ExitStack() as stack:
        ending = stack.enter_context(start_predictor(drain_seconds=600, grace_seconds=600))
        client = stack.enter_context(ending.http)
        unfinished = stack.enter_context(ending.connect())
        unfinished.send(REQUEST[:-5])
        stream = stack.enter_context(RecordStream(ending.port))
        stream.send(b"".join(records[:2000]) + b'{"inst')
        answers = receive(stream, 2000)
        assert client.get("/v2/health/ready").status_code == 200

        ending.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/v2/health/ready").status_code == 503, what="readiness to turn false")
        answer = client.post("/stream", json={"instance": 0.5})
        assert (answer.json(), answer.headers["connection"]) == ({"prediction": 621.125}, "close")
        assert client.get("/ping").text == "pong"
        assert client.get("/v2/health/live").status_code == 200

        ending.process.send_signal(signal.SIGTERM)
        assert stream.receive() == [{"end": "the server is ending", "records": 2000}]
        stream.finish_sending()
        assert stream.receive() == []
        unfinished.send(REQUEST[-5:])
        assert unfinished.read_until_closed().endswith(b'{"prediction":621.125}')
        assert ending.process.wait(PATIENCE) == 0
    with RecordStream(server.port) as stream:
        sender = threading.Thread(target=stream.send, args=(b"".join(records[2000:]),))
        sender.start()
        answers += receive(stream, 3000)
        sender.join()
    assert [answer["prediction"] for answer in answers] == [938.25 * i + 152 for i in range(5000)]


def receive(stream: RecordStream, count: int) -> list[Any]:
    answers: list[Any] = []
    while len(answers) < count:
        answers += stream.receive()
    return answers


def test_ends_while_a_thread_still_computes() -> None:
    quoted = b'"0.5"\n' * 900_000
    fields = {"content-type": "text/csv", "content-length": str(len(quoted))}
    with start_predictor(grace_seconds=1, answer_seconds=60) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.connect()).send(head("/batch", fields) + quoted)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
