"""The application, without a server."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from predictor.endpoints.routing import Routes
from predictor.http.asgi import Application
from predictor.messages import Response
from predictor.service.auth import Authorizer
from predictor.service.executor import LARGE
from predictor.service.inference import InferenceService
from predictor.web.site import Site
from tests.predictor.http.conftest import MakeService
from tests.support.freed import watched

Send = Callable[..., httpx.Response]
PAGE = "https://page.example"


def sender(service: InferenceService) -> Send:
    """Return a function that sends a request to the application of a service."""
    application = Application(service, Routes(service, Site(service.handle, "off", feedback=False)))

    def send(method: str, path: str, **request: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=application)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, path, **request)

        return asyncio.run(run())

    return send


@pytest.fixture
def send(make_service: MakeService) -> Send:
    return sender(make_service())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ping"),
        ("GET", "/v2/models/linear-regressor/ready"),
        ("GET", "/batch/[0,1]"),
        ("POST", "/stream"),
        ("POST", "/v1/models/linear-regressor:predict"),
    ],
)
def test_a_slash_at_the_end_of_a_path_makes_no_difference(send: Send, method: str, path: str) -> None:
    content = b'{"instance":0}' if path == "/stream" else b'{"instances":[0]}'
    without, behind = (send(method, p, content=content) for p in (path, path + "/"))
    assert (without.status_code, without.content) == (behind.status_code, behind.content)
    assert without.status_code == 200


def test_reads_a_stream_of_records_at_a_path_with_a_slash(send: Send) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = send("POST", "/stream/", content=b'{"instance":0}\n' * 2, headers=headers)
    assert answer.content == b'{"prediction":152.5}\n' * 2


def test_head_is_get_without_a_body(send: Send) -> None:
    get, head = send("GET", "/ping"), send("HEAD", "/ping")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == "4"


@pytest.mark.parametrize(
    ("path", "media", "codings"),
    [
        ("/batch", "application/json", "gzip, zstd, deflate"),
        ("/stream", "application/x-ndjson", "identity"),
    ],
)
def test_names_the_known_codings_when_it_refuses_one(send: Send, path: str, media: str, codings: str) -> None:
    answer = send("POST", path, content=b"x", headers={"content-encoding": "br", "content-type": media})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, codings)


def test_adds_nothing_for_pages_of_other_origins_by_default(send: Send) -> None:
    answer = send("GET", "/ping", headers={"origin": PAGE})
    assert not {"vary", "access-control-allow-origin"} & set(answer.headers)
    preflight = {"origin": PAGE, "access-control-request-method": "POST"}
    assert send("OPTIONS", "/stream", headers=preflight).status_code == 405


@pytest.mark.parametrize("origins", [("*",), ("https://other.example", PAGE)])
def test_pages_of_allowed_origins_may_read_responses_and_errors(
    make_service: MakeService, origins: tuple[str, ...]
) -> None:
    send = sender(make_service(cors_origins=origins))
    for path in ("/ping", "/none"):
        answer = send("GET", path, headers={"origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = "x-request-id, traceparent, tracestate, retry-after"
        assert answer.headers["access-control-expose-headers"] == exposed
        assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize("headers", [{}, {"origin": "https://page.example.evil"}, {"origin": "null"}])
def test_other_pages_may_not(make_service: MakeService, headers: dict[str, str]) -> None:
    send = sender(make_service(cors_origins=(PAGE,)))
    for answer in (send("GET", "/ping", headers=headers), send("OPTIONS", "/stream", headers=headers)):
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "origin"


def test_a_preflight_request_needs_no_credential(make_service: MakeService) -> None:
    send = sender(make_service(Authorizer("required", "admin"), cors_origins=(PAGE,)))
    fields = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
    }
    answer = send("OPTIONS", "/stream", headers=fields)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == fields["access-control-request-headers"]
    assert send("POST", "/stream", headers={"origin": PAGE}).status_code == 401


def test_a_client_that_closes_before_its_body_is_gone(
    make_service: MakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()
    application = Application(service, Routes(service, Site(service.handle, "off", feedback=False)))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send_message(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/stream",
        "query_string": b"",
        "headers": [(b"content-length", b"16"), (b"expect", b"100-continue")],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(application(scope, receive, send_message))
    assert sent[0]["status"] == 499
    assert not caplog.records


def test_a_thread_frees_a_long_response(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    service, (make, freed) = make_service(), watched()
    monkeypatch.setattr(service, "compute", lambda *_: Response(make(LARGE + 1)))
    assert len(sender(service)("GET", "/ping").content) == LARGE + 1
    assert freed == [True]


def test_others_have_their_turn_while_a_long_response_is_sent(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, turns, sent_at = make_service(), [0], []
    monkeypatch.setattr(service, "compute", lambda *_: Response(bytes(LARGE)))
    application = Application(service, Routes(service, Site(service.handle, "off", feedback=False)))

    async def other() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        if size := len(message.get("body", b"")):
            sent_at.append((turns[0], size))

    async def run() -> None:
        task = asyncio.create_task(other())
        scope = {"type": "http", "method": "GET", "path": "/ping", "query_string": b"", "headers": []}
        await application(scope, receive, send)
        task.cancel()

    asyncio.run(run())
    assert sum(size for _, size in sent_at) == LARGE
    assert len({turn for turn, _ in sent_at}) == len(sent_at) == LARGE // 2**18
