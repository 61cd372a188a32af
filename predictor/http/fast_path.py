"""Knows the heads of requests by their bytes, and answers small requests that have them.

A client that keeps its connection sends the same head again and again. What it asks for is read once, by
httptools as ever, and remembered if it is plain: a known hot path, a small body of known length, HTTP/1.1 to
be kept alive, and nothing that needs an ASGI application.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, time
from typing import TypeVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from predictor.endpoints.routing import Handler, Route
from predictor.endpoints.small_json import SMALL, Found
from predictor.errors import PredictorError, Unavailable
from predictor.http.asgi import is_cloud_event
from predictor.messages import JSON, NDJSON, RequestHeaders, Response
from predictor.observability.metrics import Series
from predictor.service.auth import CachedGrant
from predictor.service.inference import Service

_KNOWN = 1024
_LONGEST = 2048
_HOT = frozenset({"stream", "batch", "v1_predict", "v2_infer"})
_LARGE = frozenset({"batch", "v1_predict", "v1_explain", "v2_infer"})
_ELSEWHERE = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})

T = TypeVar("T")
DefaultHeaders = list[tuple[bytes, bytes]]
Client = tuple[str, int] | None


@dataclass(slots=True)
class CachedRequest:
    """What a head asks for, and whether its credential was found good.

    Attributes:
        sent: the head itself.
        begin, size: where in a request the body begins, and where it ends.
        quick: answers the plainest bodies; None where the head asks for more than a plain answer.
        guarded: whether a credential is asked for.
        known: that the credential was found good, and for how long.
    """

    sent: bytes
    begin: int
    size: int
    route: Route
    path: str
    handler: Handler
    quick: Callable[[bytes], Found] | None
    head: RequestHeaders
    headers: dict[bytes, bytes]
    guarded: bool
    series: Series
    known: CachedGrant | None = None


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A body that would be answered in a thread, by its head."""

    length: int
    series: Series


class FastPath:
    """Knows heads, and answers the requests that have them; one for all connections."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.gate = service.gate
        self.served = service.served
        self.log = service.log.entries
        self.plans: dict[bytes, CachedRequest | None] = {}
        self.larges: dict[bytes, LargeBody | None] = {}
        self._default_headers: DefaultHeaders = []
        self._common = b""
        self._heads: dict[int, bytes] = {}

    def find(self, head: bytes) -> CachedRequest | None:
        """What a head asks for, or None where it is not for here."""
        return self.plans[head] if head in self.plans else _learn(self.plans, head, self._make)

    def answer(
        self, plan: CachedRequest, body: bytes, client: Client, default_headers: DefaultHeaders
    ) -> bytes:
        """A whole response to a request."""
        started = perf_counter()
        if default_headers is not self._default_headers:
            self._renew(default_headers)
        if plan.guarded and not self.gate.honours(plan.known):
            try:
                plan.known = self.service.admit(plan.route, plan.headers, client[0] if client else "")
            except PredictorError as error:
                return self._finish(plan, body, self.service.refuse(error), started)
        found = plan.quick(body) if plan.quick else None
        if found is None or len(found[0]) > SMALL:
            return self._finish(plan, body, self.service.compute(plan.handler, plan.head, body), started)
        content, rows = found
        plan.series.observe(200, perf_counter() - started, rows)
        if self.gate.has_admin:
            self.log.append((time(), "POST", plan.path, 200, body, content))
        return (self._heads.get(len(content)) or self._head(len(content))) + content

    def large(self, url: bytes, fields: list[tuple[bytes, bytes]]) -> LargeBody | None:
        """The body that a head announces, if a thread would answer it; None where that is not sure."""
        headers = dict(fields)
        length = headers.get(b"content-length", b"")
        settings = self.service.settings
        if not length.isdigit() or not settings.inline_bytes < int(length) <= settings.max_body_bytes:
            return None
        route = self.service.routes.exact.get(url.partition(b"?")[0].decode("latin-1"))
        known = route is not None and route.name in _LARGE and _ELSEWHERE.isdisjoint(headers)
        if route is None or not known or is_cloud_event(headers):
            return None
        return LargeBody(int(length), self.service.metrics.series(route.name))

    def find_large(self, head: bytes) -> LargeBody | None:
        """The same, of a head by its bytes, which is read when it is first seen."""
        return self.larges[head] if head in self.larges else _learn(self.larges, head, self._make_large)

    def refusal(self, large: LargeBody, default_headers: DefaultHeaders) -> bytes | None:
        """What such a body is answered at its head while there is no room for it; None where it may come.

        Costs a tenth of what it would by the application, so that refusing many leaves the time to answer.
        """
        try:
            self.service.expect(large.length)
        except Unavailable as error:
            if default_headers is not self._default_headers:
                self._renew(default_headers)
            answer = self.service.refuse(error)
            large.series.observe(answer.status, 0, 0)
            return self._response(answer)
        return None

    def _finish(self, plan: CachedRequest, body: bytes, answer: Response, started: float) -> bytes:
        plan.series.observe(answer.status, perf_counter() - started, answer.rows)
        if self.gate.has_admin:
            self.service.log.add("POST", plan.path, answer.status, body, answer.body)
        return self._response(answer)

    def _response(self, answer: Response) -> bytes:
        more = b"".join([b"%b: %b\r\n" % header for header in answer.headers]) if answer.headers else b""
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[answer.status],
            self._common,
            answer.content_type,
            len(answer.body),
            more,
            answer.body,
        )

    def _head(self, length: int) -> bytes:
        """The head before a plain answer; it is kept until the date in it is no longer true."""
        head = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
            STATUS_LINE[200],
            self._common,
            JSON,
            length,
        )
        self._heads[length] = head
        return head

    def _renew(self, default_headers: DefaultHeaders) -> None:
        """Write the headers that all answers have; uvicorn replaces its list once a second, for the date."""
        self._default_headers = default_headers
        self._common = b"".join(b"%b: %b\r\n" % header for header in default_headers)
        self._heads.clear()

    def _make(self, head: bytes) -> CachedRequest | None:
        seen = _read(head)
        if seen is None:
            return None
        try:
            path = httptools.parse_url(seen.url).path.decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError):
            return None
        headers = dict(seen.headers)
        plain = seen.plain and _ELSEWHERE.isdisjoint(headers) and not is_cloud_event(headers)
        route = self.service.routes.exact.get(path) if plain else None
        length = headers.get(b"content-length", b"")
        if route is None or route.name not in _HOT or not length.isdigit():
            return None
        if int(length) > self.service.settings.inline_bytes:
            return None
        try:
            described = RequestHeaders.of(headers)
        except PredictorError:
            return None
        if described.media == NDJSON:
            return None
        return CachedRequest(
            sent=head,
            begin=len(head),
            size=len(head) + int(length),
            route=route,
            path=path,
            handler=route.handlers["POST"],
            quick=route.quick if self._may_be_quick(described, int(length)) else None,
            head=described,
            headers=headers,
            guarded=self.gate.asks(route.scope),
            series=self.service.metrics.series(route.name),
        )

    def _make_large(self, head: bytes) -> LargeBody | None:
        read = _read(head)
        return self.large(read.url, read.headers) if read and read.plain else None

    def _may_be_quick(self, head: RequestHeaders, length: int) -> bool:
        """Whether nothing but the answer itself is asked for; what is kept goes by the full readers."""
        return head.plain and length <= SMALL and self.service.recorder is None


def _learn(known: dict[bytes, T | None], head: bytes, make: Callable[[bytes], T | None]) -> T | None:
    """What a head that was not seen before asks for, from now on known by its bytes."""
    if len(head) > _LONGEST:
        return None
    if len(known) >= _KNOWN:
        known.clear()
    made = known[head] = make(head)
    return made


def _read(head: bytes) -> "_ParsedHead | None":
    """What httptools finds in a head; None where it finds fault with it."""
    seen = _ParsedHead()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    kept = parser.get_http_version() == "1.1" and parser.should_keep_alive()
    seen.plain = seen.heads == 1 and parser.get_method() == b"POST" and kept
    return seen


class _ParsedHead:
    """A head: what it asks for, its fields, and whether it is one POST, to be kept alive, and no more."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.heads = 0
        self.plain = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.heads += 1
