"""Caches what request heads ask for, by their bytes.

A client that keeps its connection open sends the same head again and again, but for what gateways add to each
request. So fields that only name or trace a request, or its way, are left out of the bytes that are compared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httptools

from predictor.endpoints.routing import Routes, interval_of
from predictor.endpoints.small_json import SMALL, SmallReader
from predictor.errors import InvalidInput, PredictorError
from predictor.http.head import check_host, origin_form
from predictor.kserve_compat import cloud_events
from predictor.messages import NDJSON, RequestHeaders
from predictor.observability.counting import Series
from predictor.service.call import Call
from predictor.service.inference import InferenceService

_CACHED_HEADS = 1024
_LONGEST_HEAD = 2048
_SMALL_ENDPOINTS = frozenset({"stream", "batch", "v1_predict", "v2_infer"})
_LARGE_ENDPOINTS = frozenset({"batch", "v1_predict", "v1_explain", "v2_infer"})
_NEEDS_PARSER = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})

VARYING_FIELD = re.compile(
    rb"\r\n(?:[xX]-(?:(?i:request-id):([\t\x20-\x7e]*+)|(?i:real-ip|forwarded-for|b3-[a-z]+|envoy-[a-z-]+"
    rb"|amzn-trace-id|cloud-trace-context|correlation-id):[\t\x20-\x7e]*+)"
    rb"|[tT](?i:race)(?:(?i:parent):([\t\x20-\x7e]*+)|(?i:state):([\t\x20-\x7e]*+))"
    rb"|[bB](?i:3|aggage):[\t\x20-\x7e]*+)(?=\r\n[^ \t])"
)
"""A field that no endpoint reads, with a value of visible ASCII on one line. A field with another value, such
as one with a bare CR or LF, is compared and parsed. The groups are the names of the request."""
_GROUPS = 3
_FORWARDED_FOR = re.compile(rb"\r\n(?i:x-forwarded-for):([^\r\n]*)")


@dataclass(slots=True)
class CachedRequest:
    """What a head asks for.

    Attributes:
        head: the head, without varying fields.
        length: bytes of the body.
        large: whether the body is read only if there is room for it.
        call: the call.
        small: reads the plainest bodies; None where the head asks for more than a plain response.
        guarded: whether a credential is needed.
        series: the metrics of the endpoint.
    """

    head: bytes
    length: int
    large: bool
    call: Call
    small: SmallReader | None
    guarded: bool
    series: Series


Names = tuple[bytes | None, bytes | None, bytes | None]
"""The values of ``X-Request-Id``, ``traceparent`` and ``tracestate`` in a head."""

NO_NAMES: Names = (None, None, None)


class HeadCache:
    """The cache, shared by all connections.

    Attributes:
        names: those in the head that was found last.
    """

    def __init__(self, service: InferenceService, routes: Routes) -> None:
        self.service = service
        self.routes = routes
        self._cached: dict[bytes, CachedRequest | None] = {}
        self.names = NO_NAMES

    def find(self, head: bytes) -> CachedRequest | None:
        """Return what a whole head asks for; None if the fast path does not answer it."""
        if not head.startswith(b"POST ") or len(head) > _LONGEST_HEAD:
            return None
        cached = self._cached
        if head in cached:
            self.names = NO_NAMES
            return cached[head]
        parts = VARYING_FIELD.split(head)
        key = b"".join(parts[:: _GROUPS + 1])
        self.names = _names_of(parts)
        if key not in cached:
            if len(cached) >= _CACHED_HEADS:
                cached.clear()
            cached[key] = self._parse(key)
        return cached[key]

    def _parse(self, head: bytes) -> CachedRequest | None:
        try:
            parsed = _ParsedHead(head)
            target, _, query = origin_form(parsed.url).partition(b"?")
            path = target.decode("ascii")
            fields = dict(parsed.fields)
            headers = RequestHeaders.of(fields)
            route = None if interval_of(query) else self.routes.exact.get(path)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, PredictorError):
            return None
        announced = fields.get(b"content-length", b"")
        settings = self.service.settings
        if route is None or not announced.isdigit() or not _is_plain(self.service, fields):
            return None
        length = int(announced)
        large = length > settings.inline_bytes
        endpoints = _LARGE_ENDPOINTS if large else _SMALL_ENDPOINTS
        if route.endpoint not in endpoints or length > settings.max_body_bytes or headers.media == NDJSON:
            return None
        return CachedRequest(
            head=head,
            length=length,
            large=large,
            call=Call(
                route.endpoint,
                route.scope,
                route.handlers["POST"],
                fields,
                "POST",
                path,
                route=route.path,
                headers=headers,
            ),
            small=route.small if headers.plain and length <= SMALL else None,
            guarded=self.service.authorizer.guards(route.scope),
            series=self.service.metrics.series(route.endpoint),
        )


def _names_of(parts: Sequence[bytes | None]) -> Names:
    """Return the names in the parts of a head: the last one of several ids, a list of several others."""
    name = parent = state = None
    for start in range(1, len(parts), _GROUPS + 1):
        given, parent_too, state_too = parts[start : start + _GROUPS]
        if given is not None:
            name = given
        elif parent_too is not None:
            parent = parent_too if parent is None else parent + b"," + parent_too
        elif state_too is not None:
            state = state_too if state is None else state + b"," + state_too
    return name and name.strip(b" \t"), parent and parent.strip(b" \t"), state


def forwarded_of(head: bytes) -> list[bytes]:
    """Return the values of every X-Forwarded-For of a head."""
    return _FORWARDED_FOR.findall(head)


def _is_plain(service: InferenceService, fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a head needs nothing that only the application does."""
    cross_origin = b"origin" in fields and service.settings.cors_origins
    return _NEEDS_PARSER.isdisjoint(fields) and not cross_origin and not cloud_events.is_event(fields)


class _ParsedHead:
    """The target and the fields of one POST that keeps the connection open.

    Raises:
        HttpParserError: the head is malformed.
        HttpParserUpgrade: it asks for another protocol.
        InvalidInput: it is not one such head, or its Host field is wrong.
    """

    def __init__(self, head: bytes) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.heads = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(head)
        version = parser.get_http_version()
        keeps_alive = version == "1.1" and parser.should_keep_alive()
        if self.heads != 1 or not keeps_alive or parser.get_method() != b"POST":
            raise InvalidInput("this is not one head that keeps the connection open")
        check_host(self.fields, version)

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field."""
        self.fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Count the heads."""
        self.heads += 1
