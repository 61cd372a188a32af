"""The plain way in: an ASGI layer in front of KServe's application.

It answers the paths of ``routes`` itself, outside of KServe's middleware, and hands every other request on
untouched, but through the same gate and within limits. Streams and large bodies come this way, and every
request on a server that is not our own.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from predictor.endpoints.ndjson import Records, TooLong
from predictor.endpoints.routing import Handler, Route
from predictor.errors import PredictorError, ReadTimeout, TooLarge, Unavailable, UnsupportedMedia
from predictor.messages import NDJSON, RequestHeaders, Response
from predictor.service.inference import Service
from predictor.service.limits import Reservation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMITTED = "linear_regressor.admitted"
"""The extension of a scope that says that there is room for the body."""

_CLOSE = (b"connection", b"close")
_SLICE = 2**18
_CUT_SHORT = frozenset((408, 413, 503))
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 2**22
_EVENTS = frozenset(("v1_predict", "v1_explain", "v2_infer"))
_LONGEST_ELSEWHERE = 2**20
"""Bytes of a body that is handed on: KServe's application reads it whole, into an object a number."""

logger = logging.getLogger(__name__)


class Disconnected(Exception):  # noqa: N818  an end, not an error
    """The client went away before its body was complete."""


class Middleware:
    """An ASGI application around KServe's."""

    def __init__(self, app: App, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        route = self.service.routes.find(scope["path"])
        known = route is not None and not (route.name in _EVENTS and is_cloud_event(headers))
        exchange = RequestContext(
            self.service, route or _elsewhere(scope["path"]), scope, headers, receive, send
        )
        self.service.metrics.in_progress += 1
        try:
            await (exchange.run() if known else exchange.hand_on(self.app, scope))
        except (Disconnected, ClientDisconnect):
            logger.debug("a client went away before its request was complete")
        finally:
            self.service.metrics.in_progress -= 1


class RequestContext:
    """One request and its answer."""

    def __init__(
        self,
        service: Service,
        route: Route,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        send: Send,
    ) -> None:
        self.service = service
        self.route = route
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.client = str((scope.get("client") or ("",))[0])
        self.headers = headers
        self.receive = receive
        self.send = send
        self.share = Reservation(service.memory)
        self.admitted = ADMITTED in (scope.get("extensions") or {})
        self.complete = False
        self.received = 0

    async def run(self) -> None:
        """Answer, and give back what the request took of the memory however it ends."""
        try:
            await self._run()
        finally:
            self.share.release()

    async def hand_on(self, app: App, scope: Scope) -> None:
        """Have KServe's application answer whoever is let in, within the limits."""
        deadline = asyncio.get_running_loop().time() + self.service.settings.read_seconds

        async def receive() -> Message:
            try:
                return await self._next(deadline)
            except PredictorError as error:
                headers = dict((*error.headers, _CLOSE))
                told = {name.decode(): value.decode() for name, value in headers.items()}
                raise HTTPException(error.status, str(error), told) from error

        try:
            self.service.admit(self.route, self.headers, self.client)
            self._expect(_LONGEST_ELSEWHERE)
        except PredictorError as error:
            answer = self.service.refuse(error)
            self.service.record(self.route, self.method, self.path, b"", answer, time.perf_counter())
            await self._write(answer)
            return
        try:
            await app(scope, receive, self.send)
        finally:
            self.share.release()

    async def _next(self, deadline: float) -> Message:
        """The next message of a request that was handed on.

        Raises:
            PredictorError: the body is beyond the limits of size, memory or time.
        """
        if self.complete:
            return await self.receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await self.receive()
        except TimeoutError as error:
            raise self._too_slow() from error
        self.complete = not message.get("more_body", False)
        self.received += len(message.get("body", b""))
        if self.received > _LONGEST_ELSEWHERE:
            raise TooLarge(f"the body is longer than {_LONGEST_ELSEWHERE} bytes")
        self.share.grow(len(message.get("body", b"")))
        return message

    async def _run(self) -> None:
        started = time.perf_counter()
        body = b""
        try:
            handler = self.route.handler(self.method)
            self.service.admit(self.route, self.headers, self.client)
            head = RequestHeaders.of(self.headers)
            if self.path == "/stream" and head.media == NDJSON:
                await self._stream(head, started)
                return
            body = await self._read()
            answer = await self._compute(handler, head, body)
        except PredictorError as error:
            answer = self.service.refuse(error)
        self.service.record(self.route, self.method, self.path, body, answer, started)
        body = b""
        self.share.release()
        self.share.hold(len(answer.body))
        await self._write(answer)

    async def _compute(self, handler: Handler, head: RequestHeaders, body: bytes) -> Response:
        work = partial(self.service.compute, handler, head, body)
        if len(body) <= self.service.settings.inline_bytes and not head.encoding:
            answer = work()
        else:
            answer = await self.service.workers.run(work, len(body))
        if answer.waits:
            await self._settled(answer.waits)
        return answer

    async def _settled(self, waits: Future[None]) -> None:
        try:
            await asyncio.wait_for(asyncio.wrap_future(waits), self.service.settings.answer_seconds)
        except TimeoutError as error:
            raise Unavailable("what was sent is not stored yet", retry_after=5) from error

    async def _read(self) -> bytes:
        """Read a body within the limits of size, memory and time."""
        settings = self.service.settings
        self._expect(settings.max_body_bytes)
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(settings.read_seconds):
                while not self.complete:
                    parts.append(await self._more())
                    self.share.grow(len(parts[-1]))
                    if self.share.size > settings.max_body_bytes:
                        raise TooLarge(f"the body is longer than {settings.max_body_bytes} bytes")
        except TimeoutError as error:
            raise self._too_slow() from error
        # Joined once, rather than grown: that would move what is there again and again.
        return b"".join(parts)

    def _too_slow(self) -> ReadTimeout:
        return ReadTimeout(f"the body did not arrive within {self.service.settings.read_seconds:g} s")

    def _expect(self, limit: int) -> None:
        """Refuse a long body by the length it announces, before any of it is read."""
        announced = int(self.headers.get(b"content-length", b"0"))
        if announced > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
        if not self.admitted:
            self.service.expect(announced)

    async def _more(self) -> bytes:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        self.complete = not message.get("more_body", False)
        return message.get("body", b"")

    async def _write(self, answer: Response) -> None:
        """Send an answer, a slice at a time, so that a slow reader holds back no more than that."""
        body = b"" if self.method == "HEAD" else answer.body
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        closing = self.service.served.draining or self._leaves_much_unread(answer)
        if closing:
            headers.append(_CLOSE)
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for start in range(0, len(body), _SLICE):
            await self._send_body(body[start : start + _SLICE], more=True)
        if closing:
            await self._linger()
        await self._send_body(b"", more=False)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def _leaves_much_unread(self, answer: Response) -> bool:
        """Whether so much of a body is still to come that it is better to close than to take it all in."""
        announced = self.headers.get(b"content-length", b"0")
        much = answer.status in _CUT_SHORT or int(announced) > self.service.settings.inline_bytes
        return not self.complete and much

    async def _linger(self) -> None:
        """Take in some of what is still being sent, unread.

        Closing at once would make the kernel answer it with a reset, which can reach the client before the
        answer that was sent, and take it away.
        """
        left = _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self.complete and left > 0:
                    left -= len(await self._more())
        except (TimeoutError, Disconnected):
            return

    async def _stream(self, head: RequestHeaders, started: float) -> None:
        """Answer records as they arrive, until their sender ends, or the server does."""
        head.choose(NDJSON)
        if head.encoding:
            raise UnsupportedMedia("a stream of records can't have a content encoding")
        service = self.service
        scorer = service.served.require().scorer
        name, keep = service.keeper(head.request_id)
        records = Records(scorer, service.settings.max_record_bytes, keep)
        headers = [(b"content-type", NDJSON), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        if keep:
            headers.append((b"x-request-id", name.encode()))
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        ending = asyncio.create_task(service.ending.wait())
        try:
            last = await self._records(records, ending)
            await self._send_body(last, more=True)
            await self._linger()
            await self._send_body(b"", more=False)
        finally:
            ending.cancel()
            service.metrics.series("stream_ndjson").observe(200, time.perf_counter() - started, records.count)

    async def _records(self, records: Records, ending: asyncio.Task[Any]) -> bytes:
        """Answer records; returns the last lines of the answer."""
        while not self.complete:
            arriving: asyncio.Task[Any] = asyncio.create_task(self._more())
            await asyncio.wait({arriving, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                arriving.cancel()
                return orjson.dumps({"end": "the server is ending", "records": records.count}) + b"\n"
            try:
                answers = records.feed(arriving.result())
            except TooLong as error:
                return orjson.dumps({"error": str(error)}) + b"\n"
            if answers:
                await self._send_body(answers, more=True)
        return records.finish()


def _elsewhere(path: str) -> Route:
    """The route of what only KServe may know; whatever could reach its repository is administration."""
    return Route("elsewhere", {}, "admin" if "/repository" in path else "predict")


def is_cloud_event(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request is a CloudEvent, binary or structured; KServe understands those."""
    return b"ce-specversion" in headers or headers.get(b"content-type", b"").startswith(
        b"application/cloudevents"
    )
