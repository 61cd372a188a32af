"""Answers requests whose heads are cached: small ones, and large ones for which there is no room."""

from collections.abc import Sequence
from time import perf_counter, time

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from predictor.codecs.cost import TooCostly
from predictor.endpoints.routing import Routes
from predictor.endpoints.small_json import SMALL
from predictor.errors import PredictorError, Unavailable
from predictor.http.head_cache import NO_NAMES, CachedRequest, HeadCache, forwarded_of
from predictor.identity import Identity, is_plain, parse_parent, take_ids
from predictor.messages import JSON, PROBE_ID, UNAUTHORIZED, Request, Response
from predictor.service.inference import InferenceService

Fields = Sequence[tuple[bytes, bytes]]

_TRACEPARENT = b"\r\ntraceparent: 00-"
_SAMPLED = b"-01\r\n\r\n"
_NOT_SAMPLED = b"-00\r\n\r\n"


class FastPath:
    """Answers requests without the ASGI application; shared by all connections."""

    def __init__(self, service: InferenceService, routes: Routes) -> None:
        self.service = service
        self.heads = HeadCache(service, routes)
        self.authorizer = service.authorizer
        self.drift = service.drift
        self.log = service.request_log.entries
        self.telemetry = service.telemetry
        self._records = service.recorder is not None
        self._default_fields: Fields = []
        self._common = b""
        self._plain_heads: dict[int, bytes] = {}

    def answer(
        self, cached: CachedRequest, head: bytes, body: bytes, client: str, default_fields: Fields
    ) -> bytes | None:
        """Return a whole response; None if the request would take too long on the event loop.

        Args:
            cached: what the head asks for.
            head: the head as sent.
            body: the body.
            client: the client's address.
            default_fields: fields of all responses; uvicorn replaces its list once a second, for the date.
        """
        started = perf_counter()
        if default_fields is not self._default_fields:
            self._renew(default_fields)
        # Nearly all requests have neither a line nor a span: then these bytes are enough.
        ids, identity = take_ids(), None
        name, trace, end = self._names(ids) if head is not cached.head else (ids[:32], ids[:32], _NOT_SAMPLED)
        if trace[16:] < self.telemetry.bound or self._records or not end:
            identity = self._identify(cached, head, ids)
        if cached.guarded and not self.authorizer.honors(cached.call.grant):
            identity = identity or self._identify(cached, head, ids)
            if refusal := self._authorize(cached, head, client, identity):
                return self._finish(cached, body, refusal, started, identity)
        found = cached.small(body) if cached.small and name != PROBE_ID else None
        if found is None or len(found[0]) > SMALL:
            return self._compute(cached, body, started, identity or self._identify(cached, head, ids))
        content, rows, values, given = found
        begin = self._plain_heads.get(len(content)) or self._plain_head(len(content))
        if given:
            identity = (identity or self._identify(cached, head, ids)).named(given)
        if identity is None:
            response = b"".join((begin, name, _TRACEPARENT, trace, b"-", ids[32:], end, content))
        else:
            response = b"".join((begin, _end_of_head(identity), content))
            principal = cached.call.grant.principal
            self.service.record_rows(identity, principal, rows, values)
            self.telemetry.record(
                cached.call, identity, principal, 200, None, len(values), perf_counter() - started
            )
        # Written out: a call would cost four times as much.
        if self.drift.skip:
            self.drift.skip -= 1
        else:
            self.drift.take(rows, values)
        cached.series.observe(200, perf_counter() - started, len(values))
        if self.authorizer.has_admin:
            self.log.append((time(), "POST", cached.call.path, 200, body, content))
        return response

    def refuse(self, cached: CachedRequest, head: bytes, default_fields: Fields) -> bytes | None:
        """Return the refusal of a large body if there is no room for it.

        This costs a tenth of a refusal by the application, so that refusing many leaves time for answers.
        """
        try:
            self.service.check_room(cached.length)
        except Unavailable as error:
            identity, response = self._identify(cached, head, take_ids()), Response.refusal(error)
            self.service.record(cached.call, identity, UNAUTHORIZED, b"", response, 0, 0)
            return self.write(response, default_fields, identity)
        return None

    def write(self, response: Response, default_fields: Fields, identity: Identity) -> bytes:
        """Write a response as bytes."""
        if default_fields is not self._default_fields:
            self._renew(default_fields)
        fields = b"".join([b"%b: %b\r\n" % field for field in (*response.headers, *identity.fields)])
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[response.status],
            self._common,
            response.content_type,
            len(response.body),
            fields,
            response.body,
        )

    def _compute(
        self, cached: CachedRequest, body: bytes, started: float, identity: Identity
    ) -> bytes | None:
        """Answer by the endpoint's handler, as the application does."""
        call = cached.call
        headers, principal = call.read_headers(), call.grant.principal
        request = Request(headers, body, call.fields, principal, inline=True, identity=identity)
        try:
            if len(body) > SMALL:
                self.service.memory.check(2 * len(body))
            response = self.service.compute(call.handler, request)
        except TooCostly:
            return None
        except PredictorError as error:
            response = Response.refusal(error)
        return self._finish(cached, body, response, started, request.identity)

    def _finish(
        self, cached: CachedRequest, body: bytes, response: Response, started: float, identity: Identity
    ) -> bytes:
        call, seconds = cached.call, perf_counter() - started
        self.service.record(call, identity, call.grant.principal, body, response, seconds, seconds)
        return self.write(response, self._default_fields, identity)

    def _authorize(
        self, cached: CachedRequest, head: bytes, client: str, identity: Identity
    ) -> Response | None:
        """Check the credential of a head; returns the refusal, if it is not good."""
        try:
            self.service.authorize(cached.call, identity, lambda: (client, forwarded_of(head)))
        except PredictorError as error:
            return Response.refusal(error)
        return None

    def _names(self, ids: bytes) -> tuple[bytes, bytes, bytes]:
        """Return the id, the trace and the end of the head of a response to the request that was found last.

        The end is empty if the response needs more than these. This does what ``_identify`` does, in a third
        of the time.
        """
        given, parent, state = self.heads.names
        name = given if given and is_plain(given) else ids[:32]
        found = parse_parent(parent) if parent else None
        if found is None:
            return name, ids[:32], _NOT_SAMPLED
        if not found[2]:
            return name, found[0], b"" if state else _NOT_SAMPLED
        return name, found[0], b"" if state or self.telemetry.tracer else _SAMPLED

    def _identify(self, cached: CachedRequest, head: bytes, ids: bytes) -> Identity:
        """Return the names of the request whose head was found last; a head that is cached has none."""
        names = NO_NAMES if head is cached.head else self.heads.names
        return self.telemetry.decide(Identity.of(*names, ids))

    def _plain_head(self, length: int) -> bytes:
        """Return the head of a plain response up to its id; it is cached until its date has passed."""
        head = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: " % (
            STATUS_LINE[200],
            self._common,
            JSON,
            length,
        )
        self._plain_heads[length] = head
        return head

    def _renew(self, default_fields: Fields) -> None:
        """Write the fields of all responses."""
        self._default_fields = default_fields
        self._common = b"".join(b"%b: %b\r\n" % field for field in default_fields)
        self._plain_heads.clear()


def _end_of_head(identity: Identity) -> bytes:
    """Return the rest of a head after ``x-request-id:``."""
    state = b"\r\ntracestate: " + identity.state if identity.state else b""
    return b"%b\r\ntraceparent: %b%b\r\n\r\n" % (identity.request_id, identity.traceparent, state)
