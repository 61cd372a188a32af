"""The rules for every head."""

import pytest

from predictor.errors import InvalidInput
from predictor.http.head import check_host, origin_form


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a",
        "a-b.c:80",
        "a:",
        "127.0.0.1:8080",
        "[::1]:80",
        "[fe80::1%25eth0]",
        "a_b",
        "%41",
        "~!$&'()*+,;=",
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_accepts_a_host(host: str, version: str) -> None:
    check_host([(b"a", b"b"), (b"host", host.encode())], version)


@pytest.mark.parametrize(
    "host",
    ["a b", "a:b", "http://a", "a/b", "a@b", "a?b", "[::1", "::1", "%4", "\xe4", "a\tb", "[a]b", '"a"'],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_refuses_a_malformed_host(host: str, version: str) -> None:
    with pytest.raises(InvalidInput, match="Host field is malformed"):
        check_host([(b"host", host.encode("latin-1"))], version)


def test_refuses_a_missing_or_a_repeated_host() -> None:
    with pytest.raises(InvalidInput, match="got 0"):
        check_host([(b"a", b"b")], "1.1")
    check_host([(b"a", b"b")], "1.0")
    with pytest.raises(InvalidInput, match="got 2"):
        check_host([(b"host", b"a"), (b"host", b"a")], "1.1")


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"/a?b", b"/a?b"),
        (b"//a", b"//a"),
        (b"*", b"*"),
        (b"http://a", b"/"),
        (b"http://a?b=c", b"/?b=c"),
        (b"https://a:1/b?c#d", b"/b?c"),
    ],
)
def test_reduces_a_target_to_path_and_query(target: bytes, wanted: bytes) -> None:
    assert origin_form(target) == wanted


@pytest.mark.parametrize("target", [b"http://", b"a", b"http://a b"])
def test_refuses_a_malformed_target(target: bytes) -> None:
    with pytest.raises(InvalidInput, match="target is malformed"):
        origin_form(target)
