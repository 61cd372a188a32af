"""What a form of a request is, and how its bodies are filled up to a size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.http import post
from tests.support.server import NAME

V1 = f"/v1/models/{NAME}:predict"
EXPLAIN = f"/v1/models/{NAME}:explain"
V2 = f"/v2/models/{NAME}/infer"
GRPC = ""
"""Instead of a path: the body is a message for gRPC's ModelInfer."""

ROWS = 1_000_000
"""Rows that one request may have by default. Bodies that could hold more have longer rows instead."""

LONGEST_BODY = 2**25
"""Bytes that a body may have by default, compressed or not."""
LONGEST_MESSAGE = 2**23
"""Bytes that a message of gRPC may have by default."""

Make = Callable[[int], bytes]
"""Makes a body, or bytes for a connection, of at most so many bytes."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a request that is costly to read or to answer.

    Attributes:
        name: for people.
        path: where its bodies are sent by POST; ``GRPC`` for ModelInfer.
        make: makes its bodies.
        headers: describe a body.
        raw: ``make`` makes whole requests, as bytes for a connection.
    """

    name: str
    path: str
    make: Make
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False

    def request(self, size: int) -> bytes:
        """Return a request of about ``size`` bytes: what is sent on a connection, or gRPC's message.

        It is shorter if a body of its kind may not be as long.
        """
        body = self.make(min(size, LONGEST_MESSAGE if self.path == GRPC else LONGEST_BODY))
        return body if self.raw or self.path == GRPC else post(self.path, body, self.headers)


def fill(start: bytes, unit: bytes, end: bytes = b"", most: int | None = None) -> Make:
    """Return what makes bodies of ``start``, as many of ``unit`` as fit, at most ``most``, and ``end``."""

    def make(size: int) -> bytes:
        count = max(1, (size - len(start) - len(end)) // len(unit))
        return start + unit * (count if most is None else min(count, most)) + end

    return make


def rows(start: bytes, before: bytes, after: bytes, last: bytes) -> Make:
    """Return what makes bodies with as many rows as fit, each a number between ``before`` and ``after``.

    Beyond a million rows the numbers get more digits instead. ``last`` ends the body.
    """

    def make(size: int) -> bytes:
        digits = max(1, size // ROWS - len(before) - len(after))
        unit = before + b"1" + b"0" * (digits - 1) + after
        return fill(start, unit, last, ROWS - 2)(size)

    return make
