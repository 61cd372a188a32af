"""The limits hold, on real sockets."""

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Server, StartServer

MIB = 2**20


@pytest.fixture(scope="module")
def tight(start_server: "StartServer") -> Iterator["Server"]:
    """A server with limits that a test can reach."""
    with start_server(
        max_body_bytes=MIB,
        max_header_bytes=4096,
        max_connections=20,
        head_seconds=1,
        read_seconds=1,
        queue=1,
    ) as running:
        yield running


def connect(server: "Server", first: bytes = b"") -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    wire.sendall(first)
    return wire


def everything(wire: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return b"".join(iter(lambda: wire.recv(65536), b""))
    return b""


def head(length: int, *, path: str = "/batch", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{more}\r\n".encode()


def alive(server: "Server") -> bool:
    with server.http as client:
        return client.get("/stream/0").text == '{"prediction":152.0}'


def test_a_body_up_to_the_last_byte_is_taken_and_one_more_is_refused_before_it_is_read(
    tight: "Server",
) -> None:
    body = b'{"instances": [0]' + b" " * (MIB - 18) + b"}"
    assert len(body) == MIB
    with tight.http as client:
        assert client.post("/batch", content=body).json() == {"predictions": [152.0]}
    answer = everything(connect(tight, head(MIB + 1)))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"error":"the body is longer than 1048576 bytes"}' in answer
    assert b"connection: close" in answer


def test_a_client_that_sends_all_of_too_long_a_body_still_gets_its_answer(tight: "Server") -> None:
    wire = connect(tight, head(3 * MIB))
    with contextlib.suppress(ConnectionError):
        wire.sendall(b" " * 3 * MIB)
    assert everything(wire).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_is_cut_off_at_the_limit(tight: "Server") -> None:
    wire = connect(tight, b"POST /batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            wire.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
    assert everything(wire).startswith(b"HTTP/1.1 413 ")


def test_a_small_body_that_becomes_a_large_one_is_refused(tight: "Server") -> None:
    import gzip

    import zstandard

    with tight.http as client:
        for coding, compress in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
            answer = client.post(
                "/batch", content=compress(b" " * 40 * MIB), headers={"content-encoding": coding}
            )
            assert (answer.status_code, answer.json()["error"]) == (
                413,
                "the decompressed body is longer than 1048576 bytes",
            )


@pytest.mark.parametrize("where", ["path", "name", "value", "many", "unfinished"])
def test_a_head_that_is_too_long_is_refused(tight: "Server", where: str) -> None:
    long = "x" * 5000
    start = {
        "path": f"GET /{long} HTTP/1.1\r\n\r\n",
        "name": f"GET / HTTP/1.1\r\n{long}: 1\r\n\r\n",
        "value": f"GET / HTTP/1.1\r\na: {long}\r\n\r\n",
        "many": "GET / HTTP/1.1\r\n" + "a: 1\r\n" * 5000 + "\r\n",
        "unfinished": f"GET / HTTP/1.1\r\na: {long}",
    }[where]
    assert everything(connect(tight, start.encode())).startswith(b"HTTP/1.1 431 ")


def test_one_connection_too_many_is_told_so(tight: "Server") -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(connect(tight, b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n"))
            answer = b""
            while not answer.endswith(b"pong"):
                answer += wire.recv(65536)
        answer = everything(connect(tight))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
    while not alive(tight):
        pass


def test_a_head_or_a_body_that_does_not_come_is_not_waited_for(tight: "Server") -> None:
    assert everything(connect(tight, b"GET / HTT")) == b""
    for length in (10, 100_000):
        answer = everything(connect(tight, head(length)))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive within 1 s" in answer


def test_what_bodies_take_together_is_bounded(start_server: "StartServer") -> None:
    chunked = b"POST /batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    part = b"F0000\r\n" + b" " * 0xF0000 + b"\r\n"
    with start_server(max_memory_bytes=2 * MIB) as server, server.http as client:
        with connect(server, chunked + part):
            while f"inference_memory_bytes {float(0xF0000)}" not in client.get("/metrics").text:
                pass
            with connect(server, head(600_000)) as wire:
                answer = wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in answer
        while "inference_memory_bytes 0.0" not in client.get("/metrics").text:
            pass
        assert client.post("/batch", content=b'{"instances":[0]' + b" " * 600_000 + b"}").status_code == 200


def test_a_connection_goes_on_behind_a_large_body_that_was_refused(start_server: "StartServer") -> None:
    """However much of it the server has read itself, and whatever comes behind it."""
    request = b"GET /stream/0 HTTP/1.1\r\nhost: x\r\n\r\n"
    with start_server(max_memory_bytes=600_000) as server:
        for length in (530_000, 900_000, 30_000_000):
            with connect(server) as wire:
                wire.sendall(head(length) + b"x" * 1000)
                assert wire.recv(65536).startswith(b"HTTP/1.1 503 ")
                wire.sendall(b"x" * (length - 1000) + request * 2)
                answers = b""
                while answers.count(b'{"prediction":152.0}') < 2:
                    answers += wire.recv(65536)
                wire.sendall(request.replace(b"host", b"connection: close\r\nhost"))
                assert everything(wire).endswith(b'{"prediction":152.0}')
            with connect(server, head(length) + b"x" * (length // 2)):
                pass
        assert alive(server)


def test_probes_are_answered_while_large_requests_wait_and_too_many_are_refused(
    start_server: "StartServer",
) -> None:
    body = json.dumps({"instances": [0.125] * 400_000}).encode()
    statuses: list[int] = []
    with start_server(queue=2) as server:

        def ask() -> None:
            with server.http as client:
                statuses.append(client.post("/batch", content=body).status_code)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        with server.http as client:
            while any(thread.is_alive() for thread in threads):
                assert client.get("/v2/health/ready").status_code == 200
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert alive(server)


def test_more_rows_than_may_be_are_refused_whatever_they_are_written_in(start_server: "StartServer") -> None:
    schema = pa.schema([("bmi", pa.uint8())])
    out = io.BytesIO()
    with pa.ipc.new_stream(out, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array([1] * 150, pa.uint8())], schema=schema))
    v1, v2 = "/v1/models/linear-regressor", "/v2/models/linear-regressor/infer"
    numbers = ",".join(["1"] * 150)
    tensor = '{"inputs":[{"name":"instances","shape":[150,1],"datatype":"INT8",%s}]}'
    binary = tensor % '"parameters":{"binary_data_size":150}'
    length = {"inference-header-content-length": str(len(binary))}
    with start_server(max_rows=100) as server, server.http as client:
        for path, body, headers in (
            ("/batch", f'{{"instances":[{numbers}]}}', {}),
            ("/batch", f'{{"instances":[{numbers}]}}', {"accept": "text/csv"}),
            (f"{v1}:predict", f'{{"instances":[{numbers}]}}', {}),
            (f"{v1}:explain", '{"instances":[1,1,1,1,1,1,1,1,1,1,1,1]}', {}),
            (v2, tensor % f'"data":[{numbers}]', {}),
            (v2, binary.encode() + bytes(150), length),
            ("/batch", "1\n" * 150, {"content-type": "text/csv"}),
            ("/batch", "1\r" * 150, {"content-type": "text/csv"}),
            ("/batch", out.getvalue(), {"content-type": "application/vnd.apache.arrow.stream"}),
        ):
            answer = client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (
                413,
                {"error": f"more than {10 if 'explain' in path else 100} rows"},
            ), path
        most = client.post("/batch", json={"instances": [0] * 100})
        assert most.json() == {"predictions": [152.0] * 100}
        for rows, status in ((100, 200), (101, 413)):
            inputs = {"name": "instances", "shape": [rows, 1], "datatype": "FP64", "data": [0] * rows}
            assert client.post(v2, json={"inputs": [inputs]}).status_code == status
        assert client.post("/batch", content="0\n" * 100, headers={"content-type": "text/csv"}).is_success
