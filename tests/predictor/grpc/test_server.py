"""What the server makes of gRPC's names."""

from unittest.mock import Mock
from urllib.parse import quote

import pytest

from predictor.errors import InvalidInput
from predictor.grpc import server
from predictor.identity import Identity
from predictor.messages import Response


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
