# ruff: noqa: E501  tables of odd things read better than columns of them
"""Valid requests whose heads are spelled in odd ways, and heads with one flaw, which must be refused.

Some ask for another protocol, come in two packets, or have a second request behind them.
"""

import random
from typing import NamedTuple

FIRST, SECOND = 0.5, 0.25
"""The values that the two requests send."""

_BODY = b'{"instance":[%b]}'
_TARGETS = (
    b"/stream",
    b"/stream",
    b"/stream?x=1",
    b"/stream?",
    b"/stream/",
    b"http://x/stream",
    b"HTTP://x:80/stream?y",
)
_SPACES = (b"", b" ", b" ", b" ", b"\t", b"  \t ")
_HARMLESS = (
    b"x-request-id: 4711", b"x-request-id: ", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"x-forwarded-for: 10.0.0.1, 10.0.0.2", b"x-b3-traceid: 1", b"user-agent: \xe2\x82\xac \xff", b"accept: */*", b"a: b: c",
    b"cookie: a=b", b"cookie: c=d", b"connection: keep-alive", b"content-type: application/json", b"te: trailers",
    b"accept-encoding: identity", b"!#$%&'*+-.^_`|~: x", b"pragma:", b"content_length: 3", b"x: " + b"y" * 900,
)  # fmt: skip
_UPGRADES = (b"h2c", b"websocket", b"HTTP/2.0, h2c", b"made-up/1")
_CONNECTIONS = (b"Upgrade", b"upgrade, HTTP2-Settings", b"keep-alive, Upgrade", b"Upgrade, HTTP2-Settings")

FLAWS = (
    b"a: b\r c", b"a: b\rc: d", b"a: b\x00c", b"a\x00: b", b"a: b\r\n c", b"a: b\r\n\tc", b"a : b", b"a\t: b", b" a: b", b": b",
    b"a", b"a b: c", b"a(b): c", b"\xff: b", b"host: y", b"content-length: 3", b"content-length: +30", b"content-length: 0x1e",
    b"content-length: 3 0", b"content-length: 30, 31", b"content-length: -1", b"content-length:", b"transfer-encoding: identity",
    b"transfer-encoding: gzip", b"transfer-encoding: xchunked", b"transfer-encoding : chunked", b"content-length : 30",
)  # fmt: skip
"""Lines that no head may have."""


class Case(NamedTuple):
    """A case: the packets to send, and the values for which there are predictions; none if it is refused."""

    packets: tuple[bytes, ...]
    values: tuple[float, ...]


def case(random_: random.Random, width: int) -> Case:
    """Make a case for a model of ``width`` features, all of which have the same value."""
    flaw = random_.choice(FLAWS) if random_.random() < 0.3 else None
    first = _request(random_, _body(FIRST, width), flaw)
    second = random_.random() < 0.4
    data = first + (_request(random_, _body(SECOND, width), None) if second else b"")
    place = random_.randrange(len(data)) if random_.random() < 0.4 else 0
    packets = tuple(part for part in (data[:place], data[place:]) if part)
    return Case(packets, () if flaw else (FIRST, SECOND)[: 1 + second])


def _body(value: float, width: int) -> bytes:
    return _BODY % b",".join([str(value).encode()] * width)


def _request(random_: random.Random, body: bytes, flaw: bytes | None) -> bytes:
    lines = [
        _spelled(random_, b"host: x"),
        *(_spelled(random_, line) for line in random_.choices(_HARMLESS, k=random_.randrange(5))),
    ]
    if random_.random() < 0.3:
        lines.append(_spelled(random_, b"connection: " + random_.choice(_CONNECTIONS)))
        lines.append(_spelled(random_, b"upgrade: " + random_.choice(_UPGRADES)))
    framed = body
    if random_.random() < 0.3 and not (flaw and b"-" in flaw):
        lines.append(
            _spelled(random_, b"transfer-encoding: chunked").rstrip()
        )  # llhttp allows no tab behind it
        framed = _chunked(random_, body)
    else:
        lines.append(_spelled(random_, b"content-length: %d" % len(body)))
    random_.shuffle(lines)
    if flaw is not None:
        lines.insert(random_.randrange(1, len(lines) + 1), flaw)
    start = random_.choice((b"", b"", b"", b"\r\n")) + b"POST %b HTTP/1.1" % random_.choice(_TARGETS)
    return b"\r\n".join([start, *lines, b"", framed])


def _spelled(random_: random.Random, line: bytes) -> bytes:
    """Write a field in another case, and with other white space around its value."""
    name, _, value = line.partition(b":")
    name = random_.choice((name, name.upper(), name.title(), name.swapcase()))
    return b"%b:%b%b%b" % (name, random_.choice(_SPACES), value.strip(), random_.choice(_SPACES))


def _chunked(random_: random.Random, body: bytes) -> bytes:
    size = random_.randrange(1, len(body) + 1)
    extension = random_.choice((b"", b"", b";a=b", b';a="b"'))
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    trailer = random_.choice((b"", b"", b"a: b\r\n"))
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    return b"%b%b\r\n%b\r\n" % (chunks, random_.choice((b"0", b"000")), trailer)
