"""The client's address behind proxies."""

from ipaddress import ip_network

import pytest

from predictor.service.trusted_proxies import TrustedProxies

PROXIES = [ip_network(text) for text in ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", (b"203.0.113.9",), "203.0.113.9"),
        ("::ffff:10.0.0.1", (b"203.0.113.9",), "203.0.113.9"),
        ("2001:db8::1", (b"2001:4860::1",), "2001:4860::1"),
        ("10.0.0.1", (b"203.0.113.9:4711",), "203.0.113.9"),
        ("10.0.0.1", (b"[2001:4860::1]:4711",), "2001:4860::1"),
        ("10.0.0.1", (b"[2001:4860::1]",), "2001:4860::1"),
        # What a client says of itself is in front of what the proxies say.
        ("10.0.0.1", (b"198.51.100.1, 203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", (b"198.51.100.1", b"203.0.113.9"), "203.0.113.9"),
        # One proxy behind another.
        ("10.0.0.1", (b"198.51.100.1, 203.0.113.9, 192.0.2.7",), "203.0.113.9"),
        ("10.0.0.1", (b"203.0.113.9", b"192.0.2.7"), "203.0.113.9"),
        ("10.0.0.1", (b"10.1.1.1, 10.0.0.2",), "10.1.1.1"),
        # Whoever is not a trusted proxy may say what it likes.
        ("203.0.113.9", (b"198.51.100.1",), "203.0.113.9"),
        ("", (b"198.51.100.1",), ""),
    ],
)
def test_client_is_the_last_address_that_a_trusted_proxy_names(
    peer: str, forwarded: tuple[bytes, ...], client: str
) -> None:
    assert TrustedProxies(PROXIES).client(peer, forwarded) == client


@pytest.mark.parametrize(
    "value",
    [b"", b"unknown", b"203.0.113", b"203.0.113.9 x", b"\xff", b"203.0.113.9,", b"[::1", b"1.2.3.4:x"],
)
def test_malformed_value_is_ignored(value: bytes) -> None:
    proxies = TrustedProxies(PROXIES)
    assert proxies.client("10.0.0.1", (value,)) == "10.0.0.1"
    assert proxies.client("10.0.0.1", (b"203.0.113.9, " + value + b", 192.0.2.7",)) == "192.0.2.7"


def test_nobody_is_trusted_by_default() -> None:
    assert TrustedProxies().client("127.0.0.1", (b"203.0.113.9",)) == "127.0.0.1"
