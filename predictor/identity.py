"""What one request is called: its id, and its place in a trace.

https://www.w3.org/TR/trace-context/ says how ``traceparent`` and ``tracestate`` are read.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_PLAIN_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}+")
_HEX = b"0123456789abcdef"
_NO_TRACE, _NO_PARENT, _NO_VERSION = b"0" * 32, b"0" * 16, b"ff"
_LENGTH = 55
"""Bytes of a ``traceparent`` of version 00; later ones may have more behind a dash."""
_MEMBER = re.compile(rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_LONGEST_STATE = 512
_MOST_MEMBERS = 32
_SAMPLED = b"13579bdf"
"""The last digits of flags whose first bit is set."""

_COMBINED = (b"traceparent", b"tracestate")
"""Fields whose values are joined if there are several. No list of them is a valid ``traceparent``."""

_IDS_AT_ONCE = 256
_fresh_ids: list[bytes] = []


def take_ids() -> bytes:
    """Return the random hex digits of a trace (32) and of a span (16); they are made for many at once."""
    try:
        return _fresh_ids.pop()
    except IndexError:
        digits = os.urandom(24 * _IDS_AT_ONCE).hex().encode()
        _fresh_ids.extend(digits[start : start + 48] for start in range(48, len(digits), 48))
        return digits[:48]


class Identity(NamedTuple):
    """The names of one request, as bytes of ASCII.

    Attributes:
        request_id: the client's id where that is short and plain, else a random one.
        trace_id: the trace that it is part of, 32 hex digits.
        span_id: its own part of the trace, 16 hex digits.
        parent_id: the client's part of the trace; empty if the trace begins here.
        sampled: whether the trace is recorded; the client's decision, or the one made here.
        state: what other systems know of the trace (``tracestate``).
    """

    request_id: bytes
    trace_id: bytes
    span_id: bytes
    parent_id: bytes = b""
    sampled: bool = False
    state: bytes = b""

    @classmethod
    def new(cls) -> "Identity":
        """Return the names of a request that brings none."""
        ids = take_ids()
        return cls(ids[:32], ids[:32], ids[32:])

    @classmethod
    def of(
        cls, given: bytes | None, traceparent: bytes | None, tracestate: bytes | None, ids: bytes
    ) -> "Identity":
        """Return the names of a request: those that its client sent, and new ones where none is valid.

        Args:
            given: the id.
            traceparent: the client's part of a trace.
            tracestate: what others know of that.
            ids: new ones, as ``take_ids`` returns them.
        """
        name = given if given and is_plain(given) else ids[:32]
        parent = parse_parent(traceparent) if traceparent else None
        if parent is None:
            return cls(name, ids[:32], ids[32:])
        state = _valid_state(tracestate) if tracestate else b""
        return cls(name, parent[0], ids[32:], parent[1], parent[2], state)

    @classmethod
    def of_fields(cls, fields: Mapping[bytes, bytes]) -> "Identity":
        """Return the names of a request with these header fields, whose names are in lower case."""
        get = fields.get
        return cls.of(get(b"x-request-id"), get(b"traceparent"), get(b"tracestate"), take_ids())

    def named(self, given: str) -> "Identity":
        """Return the same request under an id that its client gave it, if that is short and plain."""
        return self._replace(request_id=given.encode()) if is_plain_id(given) else self

    def within(self, traceparent: str, tracestate: str = "") -> "Identity":
        """Return the same request as a part of its client's trace, if ``traceparent`` is valid."""
        parent, state = traceparent.encode(errors="replace"), tracestate.encode(errors="replace")
        return Identity.of(self.request_id, parent, state, self.trace_id + self.span_id)

    @property
    def traceparent(self) -> bytes:
        """Its own part of the trace, as others are told."""
        return b"00-%b-%b-%b" % (self.trace_id, self.span_id, b"01" if self.sampled else b"00")

    @property
    def logged(self) -> dict[str, str]:
        """The fields of a log line."""
        return {"request_id": self.request_id.decode(), "trace_id": self.trace_id.decode()}

    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields of the response."""
        fields = ((b"x-request-id", self.request_id), (b"traceparent", self.traceparent))
        return (*fields, (b"tracestate", self.state)) if self.state else fields


is_plain = _PLAIN_ID.fullmatch
"""Matches what can be the id of a request."""


def is_plain_id(text: str) -> bool:
    """Return whether a text can be the id of a request."""
    return text.isascii() and is_plain(text.encode()) is not None


def parse_parent(value: bytes) -> tuple[bytes, bytes, bool] | None:
    """Return trace, parent and whether it is sampled of a ``traceparent``; None if that is not valid."""
    if len(value) != _LENGTH:
        if value[_LENGTH : _LENGTH + 1] != b"-" or value.startswith(b"00"):
            return None
        value = value[:_LENGTH]
    trace_id, parent_id = value[3:35], value[36:52]
    if value.translate(None, _HEX) != b"---" or value[2::33] != b"--" or value[52:53] != b"-":
        return None
    if trace_id == _NO_TRACE or parent_id == _NO_PARENT or value.startswith(_NO_VERSION):
        return None
    return trace_id, parent_id, value[54] in _SAMPLED


def combined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return fields by their names: the last value of each, of those of a trace a list of all values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for name in _COMBINED:
            if name in found:
                found[name] = b",".join(value for other, value in pairs if other == name)
    return found


def ratio_bound(ratio: float) -> bytes:
    """Return the digits that are above the last 16 digits of this share of all trace ids.

    All services that decide by the same ratio choose the same traces (OpenTelemetry's TraceIdRatioBased).
    """
    bound = round(ratio * 2**64)
    return b"%016x" % bound if bound < 2**64 else b"g"


def _valid_state(value: bytes) -> bytes:
    """Return a ``tracestate``; an empty one if it is malformed or too long."""
    members = [member.strip(b" \t") for member in value.split(b",")]
    members = [member for member in members if member]
    valid = len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
    joined = b",".join(members)
    return joined if valid and len(joined) <= _LONGEST_STATE else b""
