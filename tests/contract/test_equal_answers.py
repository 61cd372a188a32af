# ruff: noqa: E501, UP031 - a corpus reads best a line a kind, and JSON beside percent signs
"""The fast path, ASGI on the same server, and the ASGI application alone answer the same requests alike."""

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from predictor.endpoints.routing import Routes
from predictor.http.asgi import Application
from predictor.model.handle import ModelHandle
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from predictor.web.site import Site
from tests.support.http import Response, head, post
from tests.support.server import NAME, Server

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
    Request("/batch", gzip.compress(b'{"instances":[0.5]}', mtime=0), {"content-encoding": "gzip"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "application/x-www-form-urlencoded"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "text/plain"}),
    Request("/stream", b'{"instance":0.5}', {"content-type": "application/json;charset=latin-1"}),
    Request("/stream?x=1", b'{"instance":0.5}'),
    Request("/stream?intervall=0.9", b'{"instance":0.5}'),
    Request(f"{V2}?intervall=0.9", b'{"inputs":[]}'),
    Request("/str%65am", b'{"instance":0.5}'),
    Request("/v1/models/other:predict", b"{}"),
]  # fmt: skip


def request_bytes(request: Request, *, in_chunks: bool) -> bytes:
    headers = {"connection": "keep-alive", **request.headers}
    chunk_size = max(1, len(request.body)) if in_chunks else 0
    return post(request.path, request.body, headers, chunk_size=chunk_size)


def over_the_wire(server: Server, request: Request, *, in_chunks: bool) -> Response:
    with server.connect() as connection:
        connection.send(request_bytes(request, in_chunks=in_chunks) + head("/ping", method="GET"))
        answer = connection.read_response()
        assert connection.read_response().body == b"pong"
    fields = tuple(field for field in answer.fields if field[0] not in (b"date", b"server"))
    return unnamed(answer._replace(fields=fields))


def unnamed(answer: Response) -> Response:
    """Return an answer without the new ids that each has."""
    (name, identity), (other, parent) = answer.fields[-2:]
    assert (name, other) == (b"x-request-id", b"traceparent")
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", parent)
    new = identity == parent[3:35]
    return answer._replace(fields=answer.fields[: -2 if new else -1])


@pytest.fixture(scope="module")
def application(server: Server) -> Application:
    handle = ModelHandle(NAME, server.folder)
    assert handle.load()
    service = InferenceService(handle, Settings(model_dir=Path(server.folder)))
    return Application(service, Routes(service, Site(handle)))


async def by_asgi_alone(application: Application, request: Request) -> Response:
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        client.headers.clear()
        sent = client.build_request("POST", request.path, content=request.body, headers=request.headers)
        answer = await client.send(sent, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        return unnamed(Response(answer.status_code, tuple(answer.headers.raw), body))


@pytest.mark.parametrize("request_", CORPUS, ids=lambda request: f"{request.path}-{request.body[:40]!r}")
def test_all_paths_answer_alike(server: Server, application: Application, request_: Request) -> None:
    fast = over_the_wire(server, request_, in_chunks=False)
    again = over_the_wire(server, request_, in_chunks=False)
    slow = over_the_wire(server, request_, in_chunks=True)
    alone = asyncio.run(by_asgi_alone(application, request_))
    assert fast == again == slow == alone


def test_answers_pipelined_requests_in_order_on_both_paths(server: Server) -> None:
    requests = [
        request_bytes(Request("/stream", b'{"instance":%d}' % i), in_chunks=i % 3 == 1) for i in range(60)
    ]
    last = head("/stream/60", {"connection": "close"}, method="GET")
    answers = server.exchange(b"".join(requests) + last)
    expected = [b'{"prediction":%b}' % str(938.25 * i + 152).encode() for i in range(61)]
    bodies = [part.split(b"\r\n\r\n")[1] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == expected


def test_accepts_a_request_in_any_two_pieces(server: Server) -> None:
    whole = request_bytes(Request("/stream", b'{"instance":0.5}'), in_chunks=False)
    with server.connect() as connection:
        for cut in range(1, len(whole)):
            connection.send(whole[:cut])
            connection.send(whole[cut:])
            answer = connection.read_response()
            assert (answer.status, answer.body) == (200, b'{"prediction":621.125}')


def test_supports_http_1_0_expect_and_half_closed_connections_as_uvicorn_does(server: Server) -> None:
    body = b'{"instance":0.5}'
    start = b"POST /stream HTTP/1.%d\r\nhost: x\r\ncontent-length: 16\r\n%b\r\n"
    old = server.exchange(start % (0, b"") + body)
    assert old.endswith(b'{"prediction":621.125}')
    assert b"connection: close" in old
    expected = server.exchange(start % (1, b"expect: 100-continue\r\nconnection: close\r\n") + body)
    assert expected.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    half_closed = server.exchange(start % (1, b"") + body, half_close=True)
    assert half_closed.endswith(b'{"prediction":621.125}')
    upgrade = server.exchange(start % (1, b"connection: upgrade, close\r\nupgrade: websocket\r\n") + body)
    assert upgrade.startswith(b"HTTP/1.1 ")
    assert server.exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")
