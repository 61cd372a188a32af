"""The fast way in: small complete requests are answered within the call that receives their bytes.

A subclass of uvicorn's httptools protocol. A head that was seen before is not parsed again: what it asks for
is looked up by its bytes. A new one is parsed alone, by httptools as ever, and remembered if it is plain: a
known hot path, a small body of known length, HTTP/1.1 to be kept alive, and nothing that needs an ASGI
application. Whatever is not recognised exactly goes on to uvicorn's own code untouched, byte by byte.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from predictor.answer import NDJSON, Answer, Head
from predictor.asgi import is_cloud_event
from predictor.auth import Pass
from predictor.errors import PredictorError
from predictor.metrics import Series
from predictor.routes import Handler, Route
from predictor.service import Service

FITS = ("0.54.0", "0.9.0")
"""The versions of uvicorn and httptools that this was written for."""

_KNOWN = 1024
_LONGEST = 2048
_PIPELINED = 100
"""Requests of one connection that wait for those before them; it is closed behind more."""
_FIELD_BYTES = 32
"""What a field of a head counts for beside its name and value, as in HTTP/2 (RFC 9113, 6.5.2)."""
_HOT = frozenset({"stream", "batch", "v1_predict", "v2_infer"})
_ELSEWHERE = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Plan:
    """What a head asks for, and whether its credential was found good."""

    route: Route
    path: str
    handler: Handler
    head: Head
    headers: dict[bytes, bytes]
    length: int
    guarded: bool
    series: Series
    known: Pass | None = None


class Desk:
    """Knows heads, and answers the requests that have them; one for all connections."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.plans: dict[bytes, Plan | None] = {}
        self._date: object = None
        self._common = b""

    def plan(self, head: bytes) -> Plan | None:
        """What a head asks for, or None where it is not for here."""
        if len(head) > _LONGEST:
            return None
        if len(self.plans) >= _KNOWN:
            self.plans.clear()
        plan = self.plans[head] = self._make(head)
        return plan

    def answer(
        self, plan: Plan, body: bytes, client: str, default_headers: list[tuple[bytes, bytes]]
    ) -> bytes:
        """A whole response to a request."""
        started = time.perf_counter()
        service = self.service
        answer = None
        if plan.guarded and not service.gate.honours(plan.known):
            try:
                plan.known = service.admit(plan.route, plan.headers, client)
            except PredictorError as error:
                answer = service.refuse(error)
        if answer is None:
            answer = service.compute(plan.handler, plan.head, body)
        plan.series.observe(answer.status, time.perf_counter() - started, answer.rows)
        if service.gate.has_admin:
            service.log.add("POST", plan.path, body, answer)
        return self._response(answer, default_headers)

    def _response(self, answer: Answer, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        # uvicorn replaces this list once a second, for the date in it
        if default_headers is not self._date:
            self._date = default_headers
            self._common = b"".join(b"%b: %b\r\n" % header for header in default_headers)
        more = b"".join([b"%b: %b\r\n" % header for header in answer.headers]) if answer.headers else b""
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[answer.status],
            self._common,
            answer.content_type,
            len(answer.body),
            more,
            answer.body,
        )

    def _make(self, head: bytes) -> Plan | None:
        seen = _Seen()
        parser = httptools.HttpRequestParser(seen)
        try:
            parser.feed_data(head)
            path = httptools.parse_url(seen.url).path.decode("ascii")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
            return None
        headers = dict(seen.headers)
        plain = (
            seen.heads == 1
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and _ELSEWHERE.isdisjoint(headers)
            and not is_cloud_event(headers)
        )
        route = self.service.routes.exact.get(path) if plain else None
        length = headers.get(b"content-length", b"")
        if route is None or route.name not in _HOT or not length.isdigit():
            return None
        if int(length) > self.service.settings.inline_bytes:
            return None
        try:
            described = Head.of(headers)
        except PredictorError:
            return None
        if described.media == NDJSON:
            return None
        guarded = self.service.gate.asks(route.scope)
        series = self.service.metrics.series(route.name)
        return Plan(route, path, route.handlers["POST"], described, headers, int(length), guarded, series)


class _Seen:
    """Collects what httptools finds in a head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.heads = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.heads += 1


def protocol(service: Service) -> type[HttpToolsProtocol] | str:
    """The protocol class for uvicorn; its own name where ours does not fit what is installed."""
    found = (uvicorn.__version__, httptools.__version__)
    if found != FITS:
        logger.warning("uvicorn and httptools are %s, not %s: every request takes the ASGI way", found, FITS)
        return "httptools"
    return type("Bound", (FastProtocol,), {"desk": Desk(service)})


class FastProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with the desk before it."""

    desk: Desk

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._within_message = False
        self._within_head = False
        self._head_bytes = self._head_received = 0
        self._head_since = 0.0
        self._too_long = self._too_many = False
        self._active = self._answered = time.monotonic()
        self._unsent, self._unsent_since = 0, 0.0

    def data_received(self, data: bytes) -> None:
        """Answer what is known; give the rest to uvicorn."""
        self._active = time.monotonic()
        if self._at_boundary():
            data = self._answer_known(data)
            if not data:
                return
        super().data_received(data)
        if self._within_head and not self.transport.is_closing():
            self._head_received += len(data)
            if self._head_received > self.desk.service.settings.max_header_bytes:
                self._refuse_head()

    def _at_boundary(self) -> bool:
        """Whether the next byte begins a request, with none before it that is not answered."""
        return (
            not self._within_message
            and self._all_answered()
            and not self.flow.write_paused
            and not self.desk.service.served.draining
        )

    def _all_answered(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete

    def _answer_known(self, data: bytes) -> bytes:
        """Answer requests from the beginning of ``data``; returns what is left."""
        desk = self.desk
        responses = []
        start, end = 0, len(data)
        while start < end:
            stop = data.find(b"\r\n\r\n", start) + 4
            if stop < 4:
                break
            head = data[start:stop]
            plan = desk.plans[head] if head in desk.plans else desk.plan(head)
            if plan is None or stop + plan.length > end:
                break
            body = data[stop : stop + plan.length]
            client = self.client[0] if self.client else ""
            responses.append(desk.answer(plan, body, client, self.server_state.default_headers))
            start = stop + plan.length
        if responses:
            self._unset_keepalive_if_required()
            self.server_state.total_requests += len(responses)
            self.transport.write(b"".join(responses))
        return data[start:]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there may be another one."""
        super().connection_made(transport)
        if len(self.connections) > self.desk.service.settings.max_connections:
            self.desk.service.metrics.rejected["connections"] += 1
            transport.write(_closing(503, b'{"error":"too many connections"}', b"retry-after: 1\r\n"))
            transport.close()

    def on_message_begin(self) -> None:
        """Note that uvicorn's parser is within a request."""
        self._within_message = self._within_head = True
        self._head_bytes = self._head_received = 0
        self._head_since = self._active
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the head."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of the head."""
        self._count(len(name) + len(value) + _FIELD_BYTES)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is complete; take no more requests at once than may wait."""
        self._within_head = False
        if len(self.pipeline) >= _PIPELINED:
            self._too_many = True
            self.pipeline[0][0].keep_alive = False
            raise ValueError("too many requests wait for those before them")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that uvicorn's parser is between two requests."""
        self._within_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to count how long the connection is idle."""
        self._active = self._answered = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request, or one with too long a head.

        Where too many requests wait, the connection ends with the answer to the last of them.
        """
        if self._too_long:
            self._refuse_head()
        elif not self._too_many:
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        self.transport.write(_closing(431, b'{"error":"the head of the request is too long"}'))
        self.transport.close()

    def tend(self, now: float) -> None:
        """Close a connection that keeps us waiting, or cut it off.

        It may wait for a head, for the rest of a body that nobody wants any more, or for the next request.
        It is cut off where its client takes nothing of what it was sent.
        """
        settings = self.desk.service.settings
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._unsent_since = unsent, now
        if unsent:
            if now - self._unsent_since > settings.write_seconds:
                self.transport.abort()
        elif self._within_head:
            if now - self._head_since > settings.head_seconds:
                self.transport.close()
        elif self._all_answered():
            if self._within_message:
                waited, patience = now - self._answered, settings.read_seconds
            else:
                waited, patience = now - self._active, float(self.timeout_keep_alive)
            if waited > patience:
                self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.desk.service.settings.max_header_bytes:
            self._too_long = True
            raise ValueError("the head of the request is too long")


def _closing(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b" % (
        STATUS_LINE[status],
        len(body),
        headers,
        body,
    )
