"""Answers small requests whose head is known by its bytes.

A client that keeps its connection open sends the same head again and again. httptools parses it once; if it
is plain (a prediction, a small body of known length, HTTP/1.1 with keep-alive), what it asks for is cached.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, time
from typing import TypeVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from predictor.codecs.cost import TooCostly
from predictor.endpoints.routing import Routes
from predictor.endpoints.small_json import SMALL, SmallReader
from predictor.errors import PredictorError, Unavailable
from predictor.kserve_compat import cloud_events
from predictor.messages import JSON, NDJSON, Request, RequestHeaders, Response
from predictor.observability.metrics import Series
from predictor.service.auth import CachedGrant
from predictor.service.inference import Call, InferenceService

_CACHED_HEADS = 1024
_LONGEST_HEAD = 2048
_SMALL_ENDPOINTS = frozenset({"stream", "batch", "v1_predict", "v2_infer"})
_LARGE_ENDPOINTS = frozenset({"batch", "v1_predict", "v1_explain", "v2_infer"})
_NEEDS_PARSER = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})

T = TypeVar("T")
DefaultHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class CachedRequest:
    """What a head asks for.

    Attributes:
        head: the head itself.
        body_start, end: offsets in a request of the body's first byte, and of the byte behind it.
        call: the call, without a client's address.
        headers: what the head says about body and response.
        small: reads the plainest bodies; None where the head asks for more than a plain response.
        guarded: whether a credential is needed.
        series: the metrics of the endpoint.
        grant: that the credential was checked, and for how long that counts.
    """

    head: bytes
    body_start: int
    end: int
    call: Call
    headers: RequestHeaders
    small: SmallReader | None
    guarded: bool
    series: Series
    grant: CachedGrant | None = None


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A body that would be answered in a thread, by its head."""

    length: int
    series: Series


class FastPath:
    """The cache of heads, and the responses to requests that have them; one for all connections."""

    def __init__(self, service: InferenceService, routes: Routes) -> None:
        self.service = service
        self.routes = routes
        self.authorizer = service.authorizer
        self.log = service.request_log.entries
        self.cached: dict[bytes, CachedRequest | None] = {}
        self.large_bodies: dict[bytes, LargeBody | None] = {}
        self._default_headers: DefaultHeaders = []
        self._common = b""
        self._heads: dict[int, bytes] = {}

    def find(self, head: bytes) -> CachedRequest | None:
        """Return what a head asks for; None if the fast path does not answer it."""
        return self.cached[head] if head in self.cached else _learn(self.cached, head, self._parse)

    def answer(
        self, cached: CachedRequest, body: bytes, client: str, default_headers: DefaultHeaders
    ) -> bytes | None:
        """Return a whole response; None if the request would take too long on the event loop."""
        started = perf_counter()
        if default_headers is not self._default_headers:
            self._renew(default_headers)
        if cached.guarded and not self.authorizer.honors(cached.grant):
            try:
                cached.grant = self.service.authorize(cached.call._replace(client=client))
            except PredictorError as error:
                return self._finish(cached, body, Response.refusal(error), started)
        found = cached.small(body) if cached.small else None
        if found is None or len(found[0]) > SMALL:
            request = Request(cached.headers, body, cached.call.fields, inline=True)
            try:
                response = self.service.compute(cached.call.handler, request)
            except TooCostly:
                return None
            return self._finish(cached, body, response, started)
        content, rows = found
        cached.series.observe(200, perf_counter() - started, rows)
        if self.authorizer.has_admin:
            self.log.append((time(), "POST", cached.call.path, 200, body, content))
        return (self._heads.get(len(content)) or self._head(len(content))) + content

    def large_body(self, url: bytes, fields: list[tuple[bytes, bytes]]) -> LargeBody | None:
        """Return the body that a head announces if a thread would answer it; None where that is not sure."""
        headers = dict(fields)
        length = headers.get(b"content-length", b"")
        settings = self.service.settings
        if not length.isdigit() or not settings.inline_bytes < int(length) <= settings.max_body_bytes:
            return None
        route = self.routes.exact.get(url.partition(b"?")[0].decode("latin-1"))
        if route is None or route.endpoint not in _LARGE_ENDPOINTS or not _is_plain(headers):
            return None
        return LargeBody(int(length), self.service.metrics.series(route.endpoint))

    def find_large_body(self, head: bytes) -> LargeBody | None:
        """Return the same for a head by its bytes, which is parsed when it is first seen."""
        known = self.large_bodies
        return known[head] if head in known else _learn(known, head, self._parse_large)

    def refuse(self, large: LargeBody, default_headers: DefaultHeaders) -> bytes | None:
        """Return the refusal of a large body if there is no room for it; None if it may come.

        This costs a tenth of a refusal by the application, so that refusing many leaves time for answers.
        """
        try:
            self.service.check_room(large.length)
        except Unavailable as error:
            if default_headers is not self._default_headers:
                self._renew(default_headers)
            self.service.metrics.rejected[error.reason] += 1
            large.series.observe(error.status, 0, 0)
            return self._response(Response.refusal(error))
        return None

    def _finish(self, cached: CachedRequest, body: bytes, response: Response, started: float) -> bytes:
        self.service.record(cached.call, body, response, started)
        return self._response(response)

    def _response(self, response: Response) -> bytes:
        fields = b"".join([b"%b: %b\r\n" % field for field in response.headers]) if response.headers else b""
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[response.status],
            self._common,
            response.content_type,
            len(response.body),
            fields,
            response.body,
        )

    def _head(self, length: int) -> bytes:
        """Return the head of a plain response; it is cached until its date has passed."""
        head = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
            STATUS_LINE[200],
            self._common,
            JSON,
            length,
        )
        self._heads[length] = head
        return head

    def _renew(self, default_headers: DefaultHeaders) -> None:
        """Write the header fields of all responses; uvicorn replaces its list once a second, for the date."""
        self._default_headers = default_headers
        self._common = b"".join(b"%b: %b\r\n" % field for field in default_headers)
        self._heads.clear()

    def _parse(self, head: bytes) -> CachedRequest | None:
        parsed = _ParsedHead.of(head)
        if parsed is None:
            return None
        try:
            path = httptools.parse_url(parsed.url).path.decode("ascii")
            fields = dict(parsed.fields)
            headers = RequestHeaders.of(fields)
        except (httptools.HttpParserError, UnicodeDecodeError, PredictorError):
            return None
        route, length = self.routes.exact.get(path), fields.get(b"content-length", b"")
        if route is None or route.endpoint not in _SMALL_ENDPOINTS or not _is_plain(fields):
            return None
        if (
            not length.isdigit()
            or int(length) > self.service.settings.inline_bytes
            or headers.media == NDJSON
        ):
            return None
        plain = headers.plain and int(length) <= SMALL and self.service.recorder is None
        return CachedRequest(
            head=head,
            body_start=len(head),
            end=len(head) + int(length),
            call=Call(route.endpoint, route.scope, route.handlers["POST"], fields, "", "POST", path),
            headers=headers,
            small=route.small if plain else None,
            guarded=self.authorizer.guards(route.scope),
            series=self.service.metrics.series(route.endpoint),
        )

    def _parse_large(self, head: bytes) -> LargeBody | None:
        parsed = _ParsedHead.of(head)
        return self.large_body(parsed.url, parsed.fields) if parsed else None


def _learn(cache: dict[bytes, T | None], head: bytes, parse: Callable[[bytes], T | None]) -> T | None:
    """Parse a head that is not in the cache, and cache the result."""
    if len(head) > _LONGEST_HEAD:
        return None
    if len(cache) >= _CACHED_HEADS:
        cache.clear()
    parsed = cache[head] = parse(head)
    return parsed


def _is_plain(fields: dict[bytes, bytes]) -> bool:
    """Return whether nothing in a head needs more than its length to find the body."""
    return _NEEDS_PARSER.isdisjoint(fields) and not cloud_events.is_event(fields)


class _ParsedHead:
    """The target and the header fields of a POST that keeps the connection open, as httptools reads them."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.heads = 0

    @classmethod
    def of(cls, head: bytes) -> "_ParsedHead | None":
        """Parse a head; None if it is malformed or asks for anything special."""
        parsed = cls()
        parser = httptools.HttpRequestParser(parsed)
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        keeps_alive = parser.get_http_version() == "1.1" and parser.should_keep_alive()
        return parsed if parsed.heads == 1 and keeps_alive and parser.get_method() == b"POST" else None

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header field."""
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Count the heads."""
        self.heads += 1
