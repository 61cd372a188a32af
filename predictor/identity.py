"""What one request is called: its id, and its place in a trace.

https://www.w3.org/TR/trace-context/ says how ``traceparent`` and ``tracestate`` are read.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_LONGEST_STATE = 512
_MOST_MEMBERS = 32
_ZEROS = "0" * 32
_SAMPLED = "13579bdf"
"""The last digits of flags with the first bit set."""

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
    """The names of one request.

    Attributes:
        request_id: the client's id where that is short and plain, else a random one.
        trace_id: the trace that it is part of, 32 hex digits.
        span_id: its own part of the trace, 16 hex digits.
        parent_id: the client's part of the trace; empty if the trace begins here.
        sampled: whether the trace is recorded; the client's decision, or the one made here.
        state: what other systems know of the trace (``tracestate``).
    """

    request_id: str
    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = False
    state: str = ""

    @classmethod
    def new(cls, ids: bytes | None = None) -> "Identity":
        """Return the names of a request that brings none, from what ``take_ids`` returned."""
        digits = (ids or take_ids()).decode()
        return cls(digits[:32], digits[:32], digits[32:])

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], ids: bytes | None = None) -> "Identity":
        """Return the names of a request: those in its header fields, and new ones where none is valid.

        Args:
            fields: the fields, with lower-case names.
            ids: new ones, as ``take_ids`` returns them.
        """
        digits = (ids or take_ids()).decode()
        request_id = trace_id = digits[:32]
        if (given := fields.get(b"x-request-id")) and _PLAIN_ID.fullmatch(text := given.decode("latin-1")):
            request_id = text
        parent = fields.get(b"traceparent")
        if parent is None or (found := _parse_parent(parent.decode("latin-1"))) is None:
            return cls(request_id, trace_id, digits[32:])
        state = fields.get(b"tracestate")
        valid_state = _valid_state(state.decode("latin-1")) if state else ""
        return cls(request_id, found[0], digits[32:], found[1], found[2], valid_state)

    def named(self, given: str) -> "Identity":
        """Return the same request under an id that its client gave it, if that is short and plain."""
        return self._replace(request_id=given) if is_plain_id(given) else self

    def within(self, traceparent: str, tracestate: str = "") -> "Identity":
        """Return the same request as a part of its client's trace, if ``traceparent`` is valid."""
        if (found := _parse_parent(traceparent)) is None:
            return self
        trace_id, parent_id, sampled = found
        return self._replace(
            trace_id=trace_id, parent_id=parent_id, sampled=sampled, state=_valid_state(tracestate)
        )

    @property
    def traceparent(self) -> str:
        """Its own part of the trace, as others are told."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields of the response."""
        fields = ((b"x-request-id", self.request_id.encode()), (b"traceparent", self.traceparent.encode()))
        return (*fields, (b"tracestate", self.state.encode())) if self.state else fields


def is_plain_id(text: str) -> bool:
    """Return whether a text can be the id of a request."""
    return _PLAIN_ID.fullmatch(text) is not None


def combined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return header fields by their names, the last value of each; of those of a trace all values in a list."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for name in _COMBINED:
            if name in found:
                found[name] = b",".join(value for other, value in pairs if other == name)
    return found


def ratio_bound(ratio: float) -> str:
    """Return the text that is above the last 16 digits of this share of all trace ids.

    All services that decide by the same ratio choose the same traces (OpenTelemetry's TraceIdRatioBased).
    """
    bound = round(ratio * 2**64)
    return f"{bound:016x}" if bound < 2**64 else "g"


def _parse_parent(text: str) -> tuple[str, str, bool] | None:
    """Return trace, parent and whether it is sampled of a ``traceparent``; None if that is not valid."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _ZEROS or parent_id == _ZEROS[:16]:
        return None
    return trace_id, parent_id, flags[1] in _SAMPLED


def _valid_state(text: str) -> str:
    """Return a ``tracestate``; an empty one if it is malformed or too long."""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    valid = len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
    joined = ",".join(members)
    return joined if valid and len(joined) <= _LONGEST_STATE else ""
