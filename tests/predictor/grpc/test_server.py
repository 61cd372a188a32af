"""What the server makes of gRPC's names."""

import pytest

from predictor.grpc import server


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
