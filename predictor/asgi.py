"""The plain way in: an ASGI layer in front of KServe's application.

It answers the paths of ``routes`` itself, outside of KServe's middleware, and hands every other request on
untouched. Streams and large bodies come this way, and all requests on servers other than our own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from predictor.answer import NDJSON, Answer, Head
from predictor.errors import InvalidInput, PredictorError, ReadTimeout, TooLarge
from predictor.routes import Handler, Route, Routes
from predictor.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)


class Disconnected(Exception):  # noqa: N818  an end, not an error
    """The client went away before its body was complete."""


class Layer:
    """An ASGI application around KServe's."""

    def __init__(self, app: App, routes: Routes, settings: Settings) -> None:
        self.app = app
        self.routes = routes
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        route = self.routes.find(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(route, scope, headers, receive)
        except Disconnected:
            return
        await _send(answer, scope["method"], send)

    async def _answer(
        self, route: Route, scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Answer:
        try:
            handler = route.handler(scope["method"])
            head = Head.of(headers)
            body = await self._read(headers, receive)
            return handler(head, body)
        except PredictorError as error:
            return Answer.refusal(error)
        except Disconnected:
            raise
        except Exception:
            logger.exception("no answer to %s %s", scope["method"], scope["path"])
            return Answer.of({"error": "internal error"}, 500)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytearray:
        """Read a body within the limits of size and time."""
        limit = self.settings.max_body_bytes
        if int(headers.get(b"content-length", b"0")) > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.read_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise TooLarge(f"the body is longer than {limit} bytes")
                    if not message.get("more_body", False):
                        return body
        except TimeoutError as error:
            raise ReadTimeout(f"the body did not arrive within {self.settings.read_seconds:g} s") from error


async def _send(answer: Answer, method: str, send: Send) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
