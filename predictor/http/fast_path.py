"""Answers requests whose heads are cached: small ones, and large ones for which there is no room."""

from collections.abc import Sequence
from time import perf_counter, time

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from predictor.codecs.cost import TooCostly
from predictor.endpoints.routing import Routes
from predictor.endpoints.small_json import SMALL
from predictor.errors import PredictorError, Unavailable
from predictor.http.head_cache import CachedRequest, HeadCache, forwarded_of, request_id_of
from predictor.messages import JSON, Request, Response, request_id
from predictor.service.inference import InferenceService

Fields = Sequence[tuple[bytes, bytes]]


class FastPath:
    """Answers requests without the ASGI application; shared by all connections."""

    def __init__(self, service: InferenceService, routes: Routes) -> None:
        self.service = service
        self.heads = HeadCache(service, routes)
        self.authorizer = service.authorizer
        self.drift = service.drift
        self.log = service.request_log.entries
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
        if cached.guarded and not self.authorizer.honors(cached.grant):
            try:
                call = cached.call._replace(origin=lambda: (client, forwarded_of(head)))
                cached.grant = self.service.authorize(call)
            except PredictorError as error:
                return self._finish(cached, body, Response.refusal(error), started)
        found = cached.small(body) if cached.small else None
        if found is None or len(found[0]) > SMALL:
            return self._compute(cached, head, body, started)
        content, rows, values, name = found
        response = (self._plain_heads.get(len(content)) or self._plain_head(len(content))) + content
        # Written out: a call would cost four times as much.
        if self.drift.skip:
            self.drift.skip -= 1
        else:
            self.drift.take(rows, values)
        if self.service.recorder:
            name = request_id(name or _given_id(cached, head))
            self.service.record_rows(name, cached.grant.principal, rows, values)
            response = response.replace(b"\r\n\r\n", b"\r\nx-request-id: %b\r\n\r\n" % name.encode(), 1)
        cached.series.observe(200, perf_counter() - started, len(values))
        if self.authorizer.has_admin:
            self.log.append((time(), "POST", cached.call.path, 200, body, content))
        return response

    def refuse(self, cached: CachedRequest, default_fields: Fields) -> bytes | None:
        """Return the refusal of a large body if there is no room for it.

        This costs a tenth of a refusal by the application, so that refusing many leaves time for answers.
        """
        try:
            self.service.check_room(cached.length)
        except Unavailable as error:
            self.service.metrics.count_error(error)
            cached.series.observe(error.status, 0, 0)
            return self.write(Response.refusal(error), default_fields)
        return None

    def write(self, response: Response, default_fields: Fields) -> bytes:
        """Write a response as bytes."""
        if default_fields is not self._default_fields:
            self._renew(default_fields)
        fields = b"".join([b"%b: %b\r\n" % field for field in response.headers]) if response.headers else b""
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[response.status],
            self._common,
            response.content_type,
            len(response.body),
            fields,
            response.body,
        )

    def _compute(self, cached: CachedRequest, head: bytes, body: bytes, started: float) -> bytes | None:
        """Answer by the endpoint's handler, as the application does."""
        request = Request(cached.headers, body, cached.call.fields, cached.grant.principal, inline=True)
        if self.service.recorder:
            request.identify(_given_id(cached, head))
        try:
            if len(body) > SMALL:
                self.service.memory.check(2 * len(body))
            response = self.service.compute(cached.call.handler, request)
        except TooCostly:
            return None
        except PredictorError as error:
            response = Response.refusal(error)
        return self._finish(cached, body, response, started)

    def _finish(self, cached: CachedRequest, body: bytes, response: Response, started: float) -> bytes:
        self.service.record(cached.call, body, response, started)
        return self.write(response, self._default_fields)

    def _plain_head(self, length: int) -> bytes:
        """Return the head of a plain response; it is cached until its date has passed."""
        head = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
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


def _given_id(cached: CachedRequest, head: bytes) -> bytes | None:
    """Return the client's id of a request; None without one."""
    return cached.headers.request_id if head is cached.head else request_id_of(head)
