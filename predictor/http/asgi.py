"""The ASGI application: every request that the fast path does not answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import orjson

from predictor.endpoints.ndjson import Records, Unreadable
from predictor.endpoints.routing import Routes
from predictor.errors import (
    ClientGone,
    OutOfMemory,
    PredictorError,
    ReadTimeout,
    TooLarge,
    UnsupportedEncoding,
)
from predictor.http.cors import Cors
from predictor.identity import Identity, combined
from predictor.kserve_compat import cloud_events
from predictor.messages import NDJSON, RequestHeaders, Response
from predictor.observability.counting import Transport
from predictor.service.call import Call
from predictor.service.exchange import Exchange
from predictor.service.executor import joined
from predictor.service.inference import InferenceService
from predictor.service.memory_budget import Reservation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")
_SLICE = 2**18
_CUT_SHORT = frozenset((408, 413, 503))


class Application:
    """The ASGI application of one service."""

    def __init__(self, service: InferenceService, routes: Routes) -> None:
        self.service = service
        self.routes = routes
        self.cors = Cors(service.settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise ValueError(f"this server does not speak {scope['type']}")
        await RequestContext(self, scope, receive, send).run()


class RequestContext:
    """One request and its response."""

    def __init__(self, application: Application, scope: Scope, receive: Receive, send: Send) -> None:
        self.service = service = application.service
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.fields: Mapping[bytes, bytes] = combined(scope["headers"])
        self.announced = int(self.fields.get(b"content-length", b"0"))
        self.receive = receive
        self.send = send
        self.complete = False
        route = application.routes.find(self.path, scope["query_string"])
        self.takes_records = route.takes_records
        endpoint, handler = route.endpoint, route.handler(self.method)
        self.cors_fields = application.cors.fields(self.fields)
        transport: Transport = "http"
        takes_events = self.method == "POST" and endpoint in cloud_events.ENDPOINTS
        if preflight := application.cors.preflight(self.method, self.fields, route):
            endpoint, handler = "preflight", preflight
        elif takes_events and cloud_events.is_event(self.fields):
            transport, handler = "cloudevents", cloud_events.wrap(handler, service)
        self.call = Call(
            endpoint,
            route.scope_of(self.method),
            handler,
            self.fields,
            self.method,
            self.path,
            transport,
            route.path,
        )
        self.origin = partial(_origin, scope)

    async def run(self) -> None:
        """Answer the request, and release its memory however it ends."""
        sends_records = self.takes_records and self.method == "POST" and self._sends_records()
        if sends_records:
            self.call.endpoint = "stream_ndjson"
        with Exchange(self.service, self.call, self.origin) as exchange:
            if sends_records:
                await self._stream(exchange)
            else:
                await self._write(await exchange.answer(self._read), exchange.identity)

    def _sends_records(self) -> bool:
        return self.fields.get(b"content-type", b"").lower().partition(b";")[0].strip() == NDJSON

    async def _read(self, reservation: Reservation) -> bytes:
        """Read the body within the limits of size, memory and time."""
        settings = self.service.settings
        if self.announced > settings.max_body_bytes:
            raise TooLarge(f"the body is longer than {settings.max_body_bytes} bytes")
        self.service.check_room(self.announced)
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(settings.read_seconds):
                while not self.complete:
                    parts.append(await self._more())
                    before = reservation.size
                    reservation.grow(len(parts[-1]))
                    self._check_received_length(before, reservation.size)
        except TimeoutError as error:
            raise ReadTimeout(f"the body did not arrive within {settings.read_seconds:g} s") from error
        # Joined once: a buffer that grows would be copied again and again.
        return await joined(parts)

    def _check_received_length(self, before: int, size: int) -> None:
        """Refuse a body of unknown length as soon as it is too long, or would have to wait for a thread."""
        settings = self.service.settings
        if size > settings.max_body_bytes:
            raise TooLarge(f"the body is longer than {settings.max_body_bytes} bytes")
        if before <= settings.inline_bytes < size and b"content-length" not in self.fields:
            self.service.executor.check(size)

    async def _more(self) -> bytes:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.complete = not message.get("more_body", False)
        return message.get("body", b"")

    async def _write(self, response: Response, identity: Identity) -> None:
        """Send a response, a slice at a time, so that a slow client holds back no more than that."""
        body = b"" if self.method == "HEAD" else response.body
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", str(len(response.body)).encode()),
            *response.headers,
            *identity.fields,
            *self.cors_fields,
        ]
        if self.service.handle.draining or self._leaves_much_unread(response):
            headers.append(_CLOSE)
        await self.send({"type": "http.response.start", "status": response.status, "headers": headers})
        for start in range(0, len(body), _SLICE):
            if start:
                await asyncio.sleep(0)  # a client that reads fast would hold up all others
            await self._send_body(body[start : start + _SLICE], more=True)
        await self._send_body(b"", more=False)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def _leaves_much_unread(self, response: Response) -> bool:
        """Return whether so much of a body is still to come that it is better to close the connection."""
        much = response.status in _CUT_SHORT or self.announced > self.service.settings.inline_bytes
        return not self.complete and much

    async def _stream(self, exchange: Exchange) -> None:
        """Answer records as they arrive, until the client ends or the server does."""
        service = self.service
        try:
            principal = exchange.authorize()
            headers = RequestHeaders.of(self.fields)
            headers.choose(NDJSON)
            if headers.content_encoding:
                raise UnsupportedEncoding("a stream of records can't have a content encoding", "identity")
            records = Records(service, principal, exchange.identity)
        except PredictorError as error:
            exchange.response = Response.refusal(error)
            await self._write(exchange.response, exchange.identity)
            return
        fields = [(b"content-type", NDJSON), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        fields += [*exchange.identity.fields, *self.cors_fields]
        if service.handle.draining:
            fields.append(_CLOSE)
        await self.send({"type": "http.response.start", "status": 200, "headers": fields})
        ending = asyncio.create_task(service.ending.wait())
        try:
            last = await self._answer_records(records, exchange.reservation, ending)
            await self._send_body(last, more=True)
            await self._send_body(b"", more=False)
        except ClientGone:
            pass  # a stream may end in this way too
        finally:
            ending.cancel()
            exchange.response = Response(b"", rows=records.count)

    async def _answer_records(
        self, records: Records, reservation: Reservation, ending: asyncio.Task[Any]
    ) -> bytes:
        """Answer records; returns the last lines of the response."""
        while not self.complete:
            arriving: asyncio.Task[Any] = asyncio.create_task(self._more())
            await asyncio.wait({arriving, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                arriving.cancel()
                return orjson.dumps({"end": "the server is ending", "records": records.count}) + b"\n"
            data = arriving.result()
            try:
                reservation.grow(len(data))
                for answers in records.feed(data):
                    await self._send_body(answers, more=True)
                    await asyncio.sleep(0)  # let other requests have their turn
            except (Unreadable, OutOfMemory) as error:
                if error.reason:
                    self.service.metrics.rejected[error.reason] += 1
                return orjson.dumps({"error": str(error)}) + b"\n"
            reservation.hold(records.unfinished)
        return b"".join(records.finish())


def _origin(scope: Scope) -> tuple[str, Sequence[bytes]]:
    """Return the address of the connected peer, and the values of ``X-Forwarded-For``."""
    client, _ = scope.get("client") or ("", 0)
    return client, [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
