"""The limits hold, on real sockets."""

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
import zstandard

from tests.support.arrow import arrow_stream
from tests.support.http import head
from tests.support.processes import wait_until
from tests.support.server import Server

MIB = 2**20
CHUNKED = {"transfer-encoding": "chunked"}
MEMORY = "predictor_body_memory_bytes"


def batch_head(length: int) -> bytes:
    return head("/batch", {"content-length": str(length)})


def answers(server: Server) -> bool:
    request = head("/stream/0", {"connection": "close"}, method="GET")
    return server.exchange(request).endswith(b'{"prediction":152.0}')


@contextlib.contextmanager
def unfinished_body(server: Server, size: int) -> Iterator[None]:
    """Have a body under way of which ``size`` bytes have arrived."""
    with server.connect() as connection:
        connection.send(head("/batch", CHUNKED) + b"%x\r\n%b\r\n" % (size, b" " * size))
        wait_until(lambda: server.metric(MEMORY) == size, what="the body to arrive")
        yield
    wait_until(lambda: server.metric(MEMORY) == 0, what="the memory to be given back")


def test_accepts_the_longest_body_and_refuses_one_more_byte_before_reading_it(limited_server: Server) -> None:
    body = b'{"instances": [0]' + b" " * (MIB - 18) + b"}"
    assert len(body) == MIB
    with limited_server.http as client:
        assert client.post("/batch", content=body).json() == {"predictions": [152.0]}
    answer = limited_server.exchange(batch_head(MIB + 1))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"error":"the body is longer than 1048576 bytes"}' in answer
    assert b"connection: close" in answer


def test_answers_a_client_that_sends_all_of_a_too_long_body(limited_server: Server) -> None:
    answer = limited_server.exchange(batch_head(3 * MIB) + b" " * 3 * MIB)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_cuts_off_a_chunked_body_at_the_limit(limited_server: Server) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    assert limited_server.exchange(head("/batch", CHUNKED) + chunk * 40).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_refuses_a_compressed_body_that_decompresses_beyond_the_limit(
    limited_server: Server, coding: str
) -> None:
    spaces = b" " * 40 * MIB
    body = gzip.compress(spaces) if coding == "gzip" else zstandard.compress(spaces)
    with limited_server.http as client:
        answer = client.post("/batch", content=body, headers={"content-encoding": coding})
    message = "the decompressed body is longer than 1048576 bytes"
    assert (answer.status_code, answer.json()["error"]) == (413, message)


@pytest.mark.parametrize("where", ["path", "name", "value", "many", "unfinished"])
def test_refuses_a_head_that_is_too_long(limited_server: Server, where: str) -> None:
    long = "x" * 5000
    start = {
        "path": f"GET /{long} HTTP/1.1\r\n\r\n",
        "name": f"GET / HTTP/1.1\r\n{long}: 1\r\n\r\n",
        "value": f"GET / HTTP/1.1\r\na: {long}\r\n\r\n",
        "many": "GET / HTTP/1.1\r\n" + "a: 1\r\n" * 5000 + "\r\n",
        "unfinished": f"GET / HTTP/1.1\r\na: {long}",
    }[where]
    assert limited_server.exchange(start.encode()).startswith(b"HTTP/1.1 431 ")


def test_refuses_one_connection_too_many(limited_server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(limited_server.connect())
            connection.send(head("/ping", method="GET"))
            assert connection.read_response().body == b"pong"
        answer = limited_server.exchange(b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
    wait_until(lambda: answers(limited_server), what="the connections to be closed")


def test_closes_the_connection_when_headers_or_body_stay_incomplete(hasty_server: Server) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(hasty_server.connect()) for _ in range(3)]
        for connection, data in zip(
            connections, (b"GET / HTT", batch_head(10), batch_head(100_000)), strict=True
        ):
            connection.send(data)
        without_head, *without_body = [connection.read_until_closed() for connection in connections]
    assert without_head == b""
    for answer in without_body:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive within 1 s" in answer


def test_bounds_the_memory_of_all_bodies_together(small_server: Server) -> None:
    with unfinished_body(small_server, 0xF0000), small_server.connect() as connection:
        connection.send(batch_head(600_000))
        answer = connection.read_response()
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"1"
    with small_server.http as client:
        body = b'{"instances":[0]' + b" " * 600_000 + b"}"
        assert client.post("/batch", content=body).status_code == 200


@pytest.mark.parametrize("length", [530_000, 900_000, 30_000_000])
def test_reads_the_next_requests_after_refusing_a_large_body(small_server: Server, length: int) -> None:
    """However much of the body the server has read itself, and whatever comes behind it."""
    with unfinished_body(small_server, 1_200_000):
        with small_server.connect() as connection:
            connection.send(batch_head(length) + b"x" * 1000)
            assert connection.read_response().status == 503
            connection.send(b"x" * (length - 1000) + head("/stream/0", method="GET") * 2)
            for _ in range(2):
                assert connection.read_response().body == b'{"prediction":152.0}'
            connection.send(head("/stream/0", {"connection": "close"}, method="GET"))
            assert connection.read_until_closed().endswith(b'{"prediction":152.0}')
        with small_server.connect() as connection:
            connection.send(batch_head(length) + b"x" * (length // 2))
    assert answers(small_server)


def test_answers_probes_while_large_requests_wait(server: Server) -> None:
    body = json.dumps({"instances": [0.125] * 200_000}).encode()
    statuses: list[int] = []

    def ask() -> None:
        with server.http as client:
            statuses.append(client.post("/batch", content=body).status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    with server.http as client:
        while any(thread.is_alive() for thread in threads):
            assert client.get("/v2/health/ready").status_code == 200
    assert len(statuses) == 12
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert answers(server)


def test_refuses_too_many_rows_in_every_format(small_server: Server) -> None:
    v1, v2 = "/v1/models/linear-regressor", "/v2/models/linear-regressor/infer"
    numbers = ",".join(["1"] * 150)
    tensor = '{"inputs":[{"name":"instances","shape":[150,1],"datatype":"INT8",%s}]}'
    binary = tensor % '"parameters":{"binary_data_size":150}'
    length = {"inference-header-content-length": str(len(binary))}
    with small_server.http as client:
        for path, body, headers in (
            ("/batch", f'{{"instances":[{numbers}]}}', {}),
            ("/batch", f'{{"instances":[{numbers}]}}', {"accept": "text/csv"}),
            (f"{v1}:predict", f'{{"instances":[{numbers}]}}', {}),
            (f"{v1}:explain", '{"instances":[1,1,1,1,1,1,1,1,1,1,1,1]}', {}),
            (v2, tensor % f'"data":[{numbers}]', {}),
            (v2, binary.encode() + bytes(150), length),
            ("/batch", "1\n" * 150, {"content-type": "text/csv"}),
            ("/batch", "1\r" * 150, {"content-type": "text/csv"}),
            (
                "/batch",
                arrow_stream({"bmi": pa.array([1] * 150, pa.uint8())}),
                {"content-type": "application/vnd.apache.arrow.stream"},
            ),
        ):
            answer = client.post(path, content=body, headers=headers)
            message = {"error": f"more than {10 if 'explain' in path else 100} rows"}
            assert (answer.status_code, answer.json()) == (413, message), path


def test_accepts_as_many_rows_as_the_limit(small_server: Server) -> None:
    with small_server.http as client:
        most = client.post("/batch", json={"instances": [0] * 100})
        assert most.json() == {"predictions": [152.0] * 100}
        for rows, status in ((100, 200), (101, 413)):
            tensor = {"name": "instances", "shape": [rows, 1], "datatype": "FP64", "data": [0] * rows}
            answer = client.post("/v2/models/linear-regressor/infer", json={"inputs": [tensor]})
            assert answer.status_code == status
        assert client.post("/batch", content="0\n" * 100, headers={"content-type": "text/csv"}).is_success
