# ruff: noqa: E501, UP031 - a corpus reads best a line a kind, and JSON beside percent signs
"""The same requests by the fast way, by the ASGI way on the same server, and by ASGI alone: the same answers."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from predictor.http.asgi import Middleware
from predictor.model.handle import ModelHandle
from predictor.service.inference import Service
from predictor.settings import Settings

if TYPE_CHECKING:
    from tests.contract.conftest import Server

NAME = "linear-regressor"
V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
TENSOR = '{"name":"instances","shape":[2,1],"datatype":"FP64","data":[0.1,0.2]}'
BINARY = json.dumps(
    {
        "inputs": [
            {"name": "instances", "shape": [1, 1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
        ]
    }
).encode()


class Request(NamedTuple):
    path: str
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012  never changed


CORPUS = [
    *(Request("/stream", body.encode()) for body in (
        '{"instance": 0.1}', '{"instance": [0.1]}', '{"instance": 7}', '{"instance": -0.0}', '{"instance": 1e-320}',
        '{"instance": 18446744073709551616}', '{"instance": 1e308}', '{"instance": null}', '{"instance": "x"}',
        '{"instance": 1, "instance": 2}', '{"instance": NaN}', '{"instance": [1, 2]}', "{", "[]", "\ufeff{}", " ",
        '{"insta\\u006ece": 1}', '{"instance": 1e999}', '{"x": 1}', '{"instance":' + "[" * 3000,
    )),
    *(Request(path, body.encode()) for path in ("/batch", V1) for body in (
        '{"instances": [[0.1], [0.2]]}', '{"instances": [0.1, 0.2]}', '{"instances": [0.1, [0.2]]}', '{"instances": []}',
        '{"instances": [[0.1], [0.2, 0.3]]}', '{"instances": [[]]}', '{"instances": [1e308]}', '{"instances": 3}',
        '{"instances": [0.1], "more": 1}', '{"instances": [%s]}' % ",".join(["[0.1]"] * 300),
        '{"instances": [%s]}' % ", ".join(["0.1"] * 300), '{"instances": [%s,]}' % ",".join(["0.1"] * 300),
        '{"instances": [%s]}' % ",".join(["[0.1]"] * 300 + ["[1e308]"]), '{"instances": [%s]}' % ("\n 0.5," * 300 + "1"),
        '{"instances": [%s]}' % ",".join(["[0.1]"] * 300 + ["null"]), '{"instances": [%s]}' % ",".join(["[]"] * 300),
    )),
    *(Request(V2, body.encode()) for body in (
        '{"inputs":[%s]}' % TENSOR, '{"id":"7","inputs":[%s],"outputs":[{"name":"predictions"}]}' % TENSOR,
        '{"inputs":[%s],"parameters":{"binary_data_output":true}}' % TENSOR, '{"inputs":[]}', "{}", "null",
        '{"inputs":[%s],"inputs":[]}' % TENSOR, '{"inputs":[%s]}' % TENSOR.replace("2,1", "3,1"),
        '{"inputs":[%s]}' % TENSOR.replace("0.2", "1e308"), '{"inputs":[%s]}' % TENSOR.replace("FP64", "BYTES"),
    )),
    Request(V2, BINARY + b"\0\0\0\0\0\0\xe0\x3f", {"inference-header-content-length": str(len(BINARY))}),
    Request(V2, BINARY + b"\0\0", {"inference-header-content-length": str(len(BINARY))}),
    Request(V2, BINARY, {"inference-header-content-length": "x"}),
    Request("/batch", b"bmi\n0.1\n0.2\n", {"content-type": "text/csv"}),
    Request("/batch", b"0.1\n0.2,3\n", {"content-type": "text/csv"}),
    Request("/batch", b'{"instances":[0.5]}', {"accept": "application/vnd.apache.arrow.stream"}),
    Request("/batch", b'{"instances":[0.5]}', {"accept": "text/html"}),
    Request("/batch", b'{"instances":[%b]}' % b",".join([b"0.1"] * 900), {"accept-encoding": "gzip"}),
    Request("/batch", b'{"instances":[%b]}' % b",".join([b"0.1"] * 900), {"accept-encoding": "gzip;q=0, zstd"}),
    Request("/batch", gzip.compress(b'{"instances":[0.5]}'), {"content-encoding": "gzip"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "application/x-www-form-urlencoded"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "text/plain"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "application/json;charset=latin-1"}),
    Request("/stream?x=1", b'{"instance":0.5}'),
    Request("/str%65am", b'{"instance":0.5}'),
    Request("/v1/models/other:predict", b"{}"),
]  # fmt: skip


class Answered(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def request_bytes(request: Request, *, chunked: bool) -> bytes:
    headers = {"host": "x", "connection": "keep-alive", **request.headers}
    if chunked:
        headers["transfer-encoding"] = "chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(request.body), request.body) if request.body else b"0\r\n\r\n"
    else:
        headers["content-length"] = str(len(request.body))
        body = request.body
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {request.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def over_the_wire(server: "Server", request: Request, *, chunked: bool) -> Answered:
    last = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = server.exchange(request_bytes(request, chunked=chunked) + last)
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    length = int(dict(headers)[b"content-length"])
    assert rest[length:].endswith(b"pong")
    kept = [(name, value) for name, value in headers if name not in (b"date", b"server")]
    return Answered(int(status.split()[1]), kept, rest[:length])


async def elsewhere(scope: object, receive: object, send: object) -> None:
    raise AssertionError("the request was handed on")


@pytest.fixture(scope="module")
def layer(server: "Server") -> Middleware:
    served = ModelHandle(NAME, server.folder)
    assert served.load()
    return Middleware(elsewhere, Service(served, Settings(model_dir=Path(server.folder))))


async def by_asgi_alone(layer: Middleware, request: Request) -> Answered:
    transport = httpx.ASGITransport(app=layer)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        client.headers.clear()
        sent = client.build_request("POST", request.path, content=request.body, headers=request.headers)
        answer = await client.send(sent, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        return Answered(answer.status_code, list(answer.headers.raw), body)


@pytest.mark.parametrize("request_", CORPUS, ids=lambda request: f"{request.path}-{request.body[:40]!r}")
def test_all_ways_answer_the_same(server: "Server", layer: Middleware, request_: Request) -> None:
    fast = over_the_wire(server, request_, chunked=False)
    again = over_the_wire(server, request_, chunked=False)
    slow = over_the_wire(server, request_, chunked=True)
    alone = asyncio.run(by_asgi_alone(layer, request_))
    assert fast == again == slow == alone


def test_pipelined_requests_are_answered_in_order_whichever_way_they_take(server: "Server") -> None:
    ways = [request_bytes(Request("/stream", b'{"instance":%d}' % i), chunked=i % 3 == 1) for i in range(60)]
    last = b"GET /stream/60 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answers = server.exchange(b"".join(ways) + last)
    expected = [b'{"prediction":%b}' % str(938.25 * i + 152).encode() for i in range(61)]
    bodies = [part.split(b"\r\n\r\n")[1] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == expected


def test_a_request_may_arrive_in_any_pieces(server: "Server") -> None:
    import socket

    whole = request_bytes(Request("/stream", b'{"instance":0.5}'), chunked=False)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(whole)):
            wire.sendall(whole[:cut])
            wire.sendall(whole[cut:])
            answer = b""
            while not answer.endswith(b'{"prediction":621.125}'):
                answer += wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_http_1_0_expectations_and_half_closed_connections_behave_as_in_uvicorn(server: "Server") -> None:
    body = b'{"instance":0.5}'
    head = b"POST /stream HTTP/1.%d\r\nhost: x\r\ncontent-length: 16\r\n%b\r\n"
    old = server.exchange(head % (0, b"") + body)
    assert old.endswith(b'{"prediction":621.125}')
    assert b"connection: close" in old
    expected = server.exchange(head % (1, b"expect: 100-continue\r\nconnection: close\r\n") + body)
    assert expected.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    half_closed = server.exchange(head % (1, b"") + body, half_close=True)
    assert half_closed.endswith(b'{"prediction":621.125}')
    upgrade = server.exchange(head % (1, b"connection: upgrade, close\r\nupgrade: websocket\r\n") + body)
    assert upgrade.startswith(b"HTTP/1.1 ")
    assert server.exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")
