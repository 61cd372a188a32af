"""Cached heads: what varies in them, and that they are answered as the parser alone would."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from predictor.endpoints.routing import Routes
from predictor.feedback.recorder import Predicted
from predictor.http.asgi import Application
from predictor.http.head_cache import NO_NAMES, VARYING_FIELD, HeadCache
from predictor.service.inference import InferenceService
from predictor.web.site import Site
from tests.predictor.http.conftest import Connection, MakeService
from tests.support.http import head, post

BODY = b'{"instance":0.5}'
PREDICTION = b'{"prediction":621.625}'
TRACING = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "x-real-ip",
    "x-b3-traceid",
    "x-b3-sampled",
    "b3",
    "x-envoy-expected-rq-timeout-ms",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
)


@pytest.fixture
def heads(make_service: MakeService) -> HeadCache:
    service = make_service()
    return HeadCache(service, Routes(service, Site(service.handle, "off", feedback=False)))


def stream_head(**fields: str) -> bytes:
    return head(
        "/stream",
        {**{name.replace("_", "-"): value for name, value in fields.items()}, "content-length": "16"},
    )


def test_knows_a_head_again(heads: HeadCache) -> None:
    known = heads.find(stream_head())
    assert known is not None
    assert (known.length, known.call.endpoint) == (16, "stream")
    assert heads.find(stream_head()) is known
    assert heads.find(stream_head(accept="*/*")) is not known


@pytest.mark.parametrize("name", [*TRACING, *map(str.title, TRACING), *map(str.upper, TRACING)])
def test_knows_a_head_again_whatever_gateways_add(heads: HeadCache, name: str) -> None:
    known = heads.find(stream_head())
    for value in ("1", "a b\tc", "", " ~!", "x" * 200):
        assert heads.find(head("/stream", {name: value, "content-length": "16"})) is known
    assert known is not None
    assert name.lower().encode() not in known.call.fields


@pytest.mark.parametrize("value", ["\xe4", "a\rb", "a\nb", "a\0b", "a\x7f", "a\r\n b", "a\r\n\tb"])
def test_compares_fields_with_other_values(heads: HeadCache, value: str) -> None:
    known = heads.find(stream_head())
    assert heads.find(stream_head(x_request_id=value)) is not known
    assert VARYING_FIELD.search(stream_head(x_request_id=value)) is None


@pytest.mark.parametrize(
    "name", ["x-request-ids", "x-request", "traceparents", "b33", "xb3-x", "x-api-key", "b3 "]
)
def test_compares_other_fields(name: str) -> None:
    assert VARYING_FIELD.search(head("/stream", {name: "1"})) is None


@pytest.mark.parametrize(
    "start",
    [
        head("/stream", {"content-length": "16"}, method="PUT"),
        head("/stream", {"content-length": "16", "connection": "close"}),
        head("/stream", {"content-length": "16"}).replace(b"1.1", b"1.0"),
        head("/stream", {"content-length": "16", "expect": "100-continue"}),
        head("/stream", {"content-length": "16", "upgrade": "h2c", "connection": "upgrade"}),
        head("/stream", {"content-length": "16", "content-encoding": "gzip"}),
        head("/stream", {"content-length": "16", "content-type": "application/x-ndjson"}),
        head("/stream", {"content-length": "16", "ce-specversion": "1.0"}),
        head("/stream", {"transfer-encoding": "chunked"}),
        head("/stream", {"content-length": "16", "x": "y" * 2048}),
        head("/stream", {"content-length": "9999999"}),
        head("/none", {"content-length": "16"}),
        head("/stream", {"content-length": "16", "host": "a b"}),
        head("/stream", {"content-length": "16"}).replace(b"host: x\r\n", b""),
        head("/stream", {"content-length": "16"}) * 2,
        b"\r\nx-request-id: 1\r\n" + head("/stream", {"content-length": "16"}),
        b"",
    ],
)
def test_leaves_unusual_heads_to_the_parser(heads: HeadCache, start: bytes) -> None:
    assert heads.find(start) is None


def test_leaves_other_origins_to_the_application_if_there_are_any(make_service: MakeService) -> None:
    for origins, known in (((), True), (("*",), False)):
        service = make_service(cors_origins=origins)
        cache = HeadCache(service, Routes(service, Site(service.handle, "off", feedback=False)))
        assert (cache.find(stream_head(origin="https://a")) is not None) is known


def test_remembers_a_bounded_number_of_heads(heads: HeadCache) -> None:
    known = heads.find(stream_head())
    for i in range(3000):
        heads.find(stream_head(accept=str(i)))
    assert heads.find(stream_head()) is not known


def test_finds_the_names_of_a_request(heads: HeadCache) -> None:
    heads.find(stream_head())
    assert heads.names == NO_NAMES
    heads.find(stream_head(x_request_id="a", X_Request_ID=" b \t", traceparent="c ", TraceState="d=1"))
    assert heads.names == (b"b", b"c", b" d=1")
    heads.find(stream_head(traceparent="c", Traceparent="d", tracestate="e=1", TRACESTATE="f=2"))
    assert heads.names == (None, b"c, d", b" e=1, f=2")
    heads.find(stream_head())
    assert heads.names == NO_NAMES


def application(service: InferenceService) -> Application:
    return Application(service, Routes(service, Site(service.handle, "off", feedback=False)))


def exchange(connection: Connection, data: bytes) -> tuple[bytes, bool, str]:
    """Send data over a new connection; returns the responses, and how the connection ends."""
    connection.application = application(connection.service)
    answers = connection.send(data)
    return answers, connection.transport.finished, connection.transport.closed


LINE_ENDS = (b"\r\n",) * 120 + (b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"\r\r\n", b"\0\r\n")
SEPARATORS = (b": ",) * 60 + (b":", b":\t", b" : ", b"", b":  ")
VALUES = (*(b"1", b"a b") * 10, b"\xe4", b"a\rb", b"a\nb", b"a\0b", b"", b"\t", b"x\r\n y", b"a: b", b"\x7f")
NAMES = (
    *map(str.encode, TRACING),
    b"accept",
    b"x",
    b"host",
    b"content-length",
    b"connection",
    b"x request",
    b"",
)


def spelled(name: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (name, name, name.upper(), name.title(), name + b" ", b" " + name)
        if chance.random() < 0.2
        else (name,)
    )


def random_request(chance: random.Random) -> bytes:
    """Write a request, perhaps a malformed one, and a second one behind it."""
    fields = [(b"host", b"x"), (b"content-length", b"16")]
    for _ in range(chance.randrange(5)):
        fields.insert(chance.randrange(len(fields) + 1), (chance.choice(NAMES), chance.choice(VALUES)))
    lines = [
        spelled(name, chance) + chance.choice(SEPARATORS) + value + chance.choice(LINE_ENDS)
        for name, value in fields
    ]
    start = chance.choice((b"",) * 9 + (b"\r\n", b"\r\nb3: 1\r\n", b" "))
    return (
        start
        + b"POST /stream HTTP/1.1\r\n"
        + b"".join(lines)
        + b"\r\n"
        + BODY
        + post("/batch", b'{"instances":[1]}')
    )


class Recording:
    """Takes what is recorded for feedback."""

    def __init__(self) -> None:
        self.items: list[object] = []

    def record_predictions(self, item: Predicted) -> None:
        self.items.append((item.id, np.array(item.rows).tolist(), list(item.values)))


@pytest.mark.parametrize("seed", range(8))
def test_answers_every_spelling_of_a_head_as_the_parser_alone(
    connect: Callable[..., Connection],
    make_service: MakeService,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr("os.urandom", bytes)
    monkeypatch.setattr("predictor.identity._fresh_ids", [])
    recording = Recording()
    service = make_service(recorder=recording if seed % 2 else None)
    requests = [post("/stream", BODY), *(random_request(chance) for _ in range(100))]

    def exchange_all() -> list[object]:
        answers = [exchange(connect(service), request) for request in requests]
        items, recording.items = recording.items, []
        return [*zip(requests, answers, strict=True), *items]

    with_cache = exchange_all()
    monkeypatch.setattr(HeadCache, "find", lambda _self, _head: None)
    assert with_cache == exchange_all()
    assert 10 < repr(with_cache).count("HTTP/1.1 200 ") < 180
