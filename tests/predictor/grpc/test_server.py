"""What the server makes of gRPC's names."""

import asyncio
import sys
from unittest.mock import Mock
from urllib.parse import quote

import grpc
import pytest

from predictor.errors import InvalidInput
from predictor.grpc import server
from predictor.identity import Identity
from predictor.messages import Response
from predictor.service import exchange
from predictor.service.call import Call
from predictor.service.executor import LARGE
from tests.support.service import make_service

INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("unix:/tmp/socket", ""),
        ("", ""),
    ],
)
def test_reads_the_address_of_a_peer(peer: str, address: str) -> None:
    assert server._address(peer) == address


@pytest.mark.parametrize("letter", ["a", "ü", "🙂"])
def test_details_of_an_error_fit_what_a_client_accepts_as_metadata(letter: str) -> None:
    context = Mock()
    response = Response.refusal(InvalidInput("x" + letter * 5000))
    server._write_trailers(context, response, Mock(spec=Identity, fields=()))
    ((details,), _) = context.set_details.call_args
    assert details.startswith("x" + letter * 200)
    assert set(details) == {"x", letter}
    assert len(quote(details)) < 4096


def call_of(calls: server._Calls, **metadata: str) -> Call:
    """Return what a call with some metadata asks for."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    handler = calls.service(Mock(method=INFER, invocation_metadata=pairs))
    assert isinstance(handler, server._Handler)
    return handler.call


def test_calls_with_the_same_metadata_share_what_is_read_of_it() -> None:
    calls = server._Calls(make_service(), {True: Mock(), False: Mock()})
    first = call_of(calls, x_api_key="a", user_agent="x")
    assert first.fields == {b"x-api-key": b"a"}
    assert call_of(calls, x_api_key="a", user_agent="x") is first
    for other in ({"x_api_key": "b", "user_agent": "x"}, {"user_agent": "x"}):
        assert call_of(calls, **other) is not first


def test_metadata_that_name_one_call_or_are_long_are_not_shared_and_others_not_for_ever() -> None:
    calls = server._Calls(make_service(), {True: Mock(), False: Mock()})
    for name in ("x_request_id", "traceparent", "tracestate"):
        call_of(calls, **{name: "1"})
    call_of(calls, user_agent="x" * 4096)
    assert not calls.cached
    for number in range(3000):
        call_of(calls, user_agent=str(number))
    assert 0 < len(calls.cached) <= 1024


def test_nothing_but_the_thread_that_frees_it_has_a_long_response(monkeypatch: pytest.MonkeyPatch) -> None:
    service, references = make_service(), []
    monkeypatch.setattr(service, "compute", lambda *_: Response(bytes(LARGE + 1)))
    # gRPC sends no subclass of bytes, which could say where it is freed.
    monkeypatch.setattr(exchange, "free", lambda held: references.append(sys.getrefcount(held[0].body)))

    async def run() -> bytes:
        served = server.make(service, (0, 0))
        port = served.add_insecure_port("127.0.0.1:0")
        await served.start()
        options = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            answered: bytes = await channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(b"")
        await served.stop(None)
        return answered

    assert len(asyncio.run(run())) == LARGE + 1
    assert references == [2]  # of the response, and of the call that counts them
