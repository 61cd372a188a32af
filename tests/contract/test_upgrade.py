"""Requests that ask for another protocol: the server ignores Upgrade and reads their bodies."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.http import PATIENCE, Connection, chunked, exchange, head, post
from tests.support.server import Server

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
INSTANCE = b'{"instance":0.5}'
PREDICTION = b'{"prediction":621.125}'
METHODS = ("POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD")
PATHS = (
    "/stream",
    "/batch",
    "/v1/models/linear-regressor:predict",
    "/v2/models/linear-regressor/infer",
    "/ping",
    "/none",
)


def upgrade_request(
    body: bytes,
    protocol: str = "h2c",
    *,
    method: str = "POST",
    path: str = "/stream",
    in_chunks: bool = False,
) -> tuple[bytes, bytes]:
    """Return head and body of a request that asks for another protocol."""
    fields = {"connection": "Upgrade, HTTP2-Settings", "upgrade": protocol, "http2-settings": "AAMAAABk"}
    fields |= {"transfer-encoding": "chunked"} if in_chunks else {"content-length": str(len(body))}
    return head(path, fields, method=method), chunked(body, 7) if in_chunks else body


@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("packets", [1, 2])
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "made-up/1.0"])
def test_never_parses_the_body_behind_an_upgrade_header_as_a_request(
    server: Server, protocol: str, packets: int, in_chunks: bool
) -> None:
    for case in ((method, path) for method in METHODS for path in PATHS):
        method, path = case
        parts = upgrade_request(SMUGGLED, protocol, method=method, path=path, in_chunks=in_chunks)
        with Connection(server.port) as connection:
            for part in parts if packets == 2 else [b"".join(parts)]:
                connection.send(part)
            status = int(connection.read_to(b"\r\n").split()[1])
            connection.send(head("/ping", {"connection": "close"}, method="GET"))
            rest = connection.read_until_closed()
        assert (case, status == 101, rest.count(b"HTTP/1.1 ")) == (case, False, 1)
        assert (case, b"/smuggled" in rest, rest.endswith(b"pong")) == (case, False, True)


@pytest.mark.parametrize("packets", [1, 2])
def test_answers_a_request_with_an_upgrade_header_and_the_one_after_it(server: Server, packets: int) -> None:
    parts = upgrade_request(INSTANCE)
    with Connection(server.port) as connection:
        for part in parts if packets == 2 else [b"".join(parts)]:
            connection.send(part)
        assert connection.read_response().body == PREDICTION
        connection.send(post("/stream", INSTANCE))
        assert connection.read_response().body == PREDICTION


def test_answers_pipelined_requests_with_upgrade_headers_in_order(server: Server) -> None:
    requests = [b"".join(upgrade_request(b'{"instance":%d}' % i)) for i in range(50)]
    with Connection(server.port) as connection:
        connection.send(b"".join(requests))
        answers = [connection.read_response().body for _ in requests]
    assert answers == [b'{"prediction":%b}' % str(938.25 * i + 152.0).encode() for i in range(50)]


def test_refuses_connect(server: Server) -> None:
    answer = server.exchange(head("x:443", method="CONNECT") + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_ignores_trailers(server: Server) -> None:
    trailers = b"content-type: text/csv\r\nx-request-id: trailer\r\n\r\n"
    body = chunked(INSTANCE, 16).removesuffix(b"\r\n") + trailers
    answer = server.exchange(head("/stream", {"transfer-encoding": "chunked", "connection": "close"}) + body)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(PREDICTION)


@contextmanager
def reverse_proxy(port: int) -> Iterator[int]:
    """A proxy that sends the requests of all clients, Upgrade included, over one connection to the server."""

    def serve() -> None:
        with suppress(OSError), Connection(port) as upstream:
            while True:
                client, _ = listener.accept()
                with closing(client):
                    upstream.send(client.recv(65536))
                    answer = upstream.read_response()
                    client.sendall(b"HTTP/1.1 %d -\r\n\r\n%b" % (answer.status, answer.body))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def test_a_proxy_that_forwards_upgrade_gives_each_client_its_own_answer(server: Server) -> None:
    with reverse_proxy(server.port) as port:
        for _ in range(5):
            assert b"/smuggled" not in exchange(port, b"".join(upgrade_request(SMUGGLED)))
            assert exchange(port, post("/stream", INSTANCE)).endswith(PREDICTION)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2_is_answered(server: Server) -> None:
    urls = [f"{server.url}/stream"] * 3
    command = ["curl", "--silent", "--show-error", "--http2", "--max-time", "30", "--data", INSTANCE.decode()]
    done = subprocess.run([*command, *urls], capture_output=True, check=True)
    assert done.stdout == PREDICTION * 3


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] words) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 3; i++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(words[0]))
                .POST(HttpRequest.BodyPublishers.ofString("{\\"instance\\":0.5}")).build();
            System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        }
    }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="no JDK is installed")
def test_the_default_client_of_java_is_answered(server: Server, tmp_path: Path) -> None:
    (tmp_path / "Client.java").write_text(JAVA)
    command = ["java", str(tmp_path / "Client.java"), f"{server.url}/stream"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=600)
    assert done.stdout == PREDICTION * 3
