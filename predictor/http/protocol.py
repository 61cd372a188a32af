"""The fast way in: small complete requests are answered within the call that receives their bytes.

A subclass of uvicorn's httptools protocol, with the ``FastPath`` before it, which knows what it may answer.
Whatever that does not recognise exactly goes on to uvicorn's own code untouched, byte by byte.
"""

import asyncio
import logging
import time
from importlib.metadata import version
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from predictor.endpoints.routing import Routes
from predictor.endpoints.small_json import SMALL
from predictor.http.asgi import ADMITTED
from predictor.http.body_discarder import BodyDiscarder
from predictor.http.fast_path import CachedRequest, FastPath, LargeBody
from predictor.service.inference import InferenceService

TESTED_VERSIONS = {"uvicorn": "0.54.0", "httptools": "0.9.0"}
"""The connection class overrides internals of these packages, so only tested versions may run."""

_PIPELINED = 100
"""Requests of one connection that wait for those before them; it is closed behind more."""
_FIELD_BYTES = 32
"""What a field of a head counts for beside its name and value, as in HTTP/2 (RFC 9113, 6.5.2)."""

logger = logging.getLogger(__name__)


def check_versions() -> None:
    """Check that the installed uvicorn and httptools are the tested ones.

    Raises:
        ValueError: one is not; it says which version is needed.
    """
    for package, tested in TESTED_VERSIONS.items():
        installed = version(package)
        if installed != tested:
            raise ValueError(f"{package} {installed} is installed; this server needs {package} {tested}")


def make_protocol(service: InferenceService, routes: Routes) -> type[HttpToolsProtocol]:
    """Return the connection class for uvicorn, bound to a service."""
    return type("BoundProtocol", (FastProtocol,), {"fast_path": FastPath(service, routes)})


class FastProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with the desk before it."""

    fast_path: FastPath

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._within_message = False
        self._within_head = False
        self._ignores_upgrade = False
        self._head_bytes = self._head_received = 0
        self._head_since = 0.0
        self._too_long = self._too_many = self._ended = False
        self._refused = self._passing_over = False
        self._unread = 0
        self._sink: BodyDiscarder | None = None
        self._answering: RequestResponseCycle | None = None
        self._active = self._answered = time.monotonic()
        self._unsent, self._unsent_since = 0, 0.0
        self._quiet = True
        self._cached: CachedRequest | None = None
        self._kept = b""

    def data_received(self, data: bytes) -> None:
        """Answer what is known; give the rest to uvicorn."""
        self._quiet = False
        if self._kept:
            data, self._kept = self._kept + data, b""
        if self._at_boundary():
            data = self._answer_known(data)
            if not data:
                return
            if self._cached and self._cached.end - self._cached.body_start <= SMALL:
                self._kept = data
                return
        self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        self._parse(data)
        if self._within_head and not self.transport.is_closing():
            self._head_received += len(data)
            if self._head_received > self.fast_path.service.settings.max_header_bytes:
                self._refuse_head()
        if self._refused and self.scheme == "http":
            self._refused = False
            self._throw_away()

    def _parse(self, data: bytes) -> None:
        """Feed the parser; a request that asks for another protocol is answered as if it did not.

        A server may ignore Upgrade (RFC 9110, 7.8). httptools leaves the body of such a request unread, and
        would take it for the next request.
        """
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self._new_parser()
                self._ignores_upgrade = False

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"%b%b\r\n" % (line, b"".join(fields))

    def _new_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _throw_away(self) -> None:
        """Have the kernel take the rest of a refused body, and look at the next head before more is read."""
        if self._sink is None or self._sink.released:
            self._sink = BodyDiscarder(self.loop, self.transport, self._received_behind, self._passed_over)
        if self._passing_over:
            self._sink.take(self._unread)

    def _received_behind(self, data: bytes) -> None:
        """Take what begins behind a refused body; the same again is refused without a look at each field."""
        head = data[: data.find(b"\r\n\r\n") + 4]
        large = self.fast_path.find_large_body(head) if self._at_boundary() else None
        unread = large.length - (len(data) - len(head)) if large else 0
        refusal = (
            self.fast_path.refuse(large, self.server_state.default_headers) if large and unread > 0 else None
        )
        if refusal and self._sink:
            self._write_refusal(refusal)
            self._sink.take(unread)
        else:
            if self._sink:  # before it is read, which may pause the transport for reasons of its own
                self._sink.release()
            self.data_received(data)

    def _at_boundary(self) -> bool:
        """Whether the next byte begins a request, with none before it that is not answered."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return (
            not self._within_message
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and not self.fast_path.service.handle.draining
        )

    def _all_answered(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete

    def _answer_known(self, data: bytes) -> bytes:
        """Answer requests from the beginning of ``data``; returns what is left.

        Then there is a cached if that begins with a head that is known: the body may come in the next packet.
        """
        fast_path, cached = self.fast_path, self._cached
        start, end = 0, len(data)
        while start < end:
            if cached is None or not data.startswith(cached.head, start):
                stop = data.find(b"\r\n\r\n", start) + 4
                cached = self._cached = fast_path.find(data[start:stop]) if stop >= 4 else None
            if cached is None or start + cached.end > end:
                break
            body = data[start + cached.body_start : start + cached.end]
            client = self.client[0] if self.client else ""
            answer = fast_path.answer(cached, body, client, self.server_state.default_headers)
            if answer is None:
                self._cached = None
                break
            self.transport.write(answer)
            self.server_state.total_requests += 1
            start += cached.end
        if start:
            self._unset_keepalive_if_required()
        return data[start:]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there may be another one."""
        super().connection_made(transport)
        if len(self.connections) > self.fast_path.service.settings.max_connections:
            self.fast_path.service.metrics.rejected["connections"] += 1
            transport.write(_closing(503, b'{"error":"too many connections"}', b"retry-after: 1\r\n"))
            transport.close()

    def on_message_begin(self) -> None:
        """Note that uvicorn's parser is within a request."""
        self._within_message = self._within_head = True
        self._head_bytes = self._head_received = 0
        self._head_since = time.monotonic()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the head."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of the head; trailers are counted too, and otherwise ignored (RFC 9110, 6.5.1)."""
        self._count(len(name) + len(value) + _FIELD_BYTES)
        if self._within_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is complete; take no more requests at once than may wait."""
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("CONNECT asks for a tunnel, and this server is no proxy")
        if self.parser.should_upgrade():
            self._ignores_upgrade = True
            return
        self._within_head = False
        if len(self.pipeline) >= _PIPELINED:
            self._too_many = True
            self.pipeline[0][0].keep_alive = False
            raise ValueError("too many requests wait for those before them")
        plain = self.parser.get_method() == b"POST" and self.parser.should_keep_alive()
        large = self.fast_path.large_body(self.url, self.headers) if plain and self._all_answered() else None
        if large is None or not self._refuse(large):
            super().on_headers_complete()

    def _refuse(self, large: LargeBody) -> bool:
        """Refuse a large body while there is no room; what comes of it is passed over unread."""
        refusal = self.fast_path.refuse(large, self.server_state.default_headers)
        if refusal is None:
            self.scope["extensions"] = {ADMITTED: {}}
            return False
        self._write_refusal(refusal)
        self._refused = self._passing_over = True
        self._unread = large.length
        return True

    def _write_refusal(self, refusal: bytes) -> None:
        self.transport.write(refusal)
        self.server_state.total_requests += 1
        self._answered = time.monotonic()
        self._quiet = False

    def _passed_over(self) -> None:
        """Begin anew behind a body of which the parser saw only a part."""
        if not self._passing_over:
            return
        self._within_message = self._passing_over = False
        self._new_parser()

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body, unless it was refused."""
        if self._passing_over:
            self._unread -= len(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that uvicorn's parser is between two requests."""
        if self._ignores_upgrade:
            return
        self._within_message = False
        if self._passing_over:
            self._passing_over = False
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to count how long the connection is idle; close one whose client sends no more."""
        self._active = self._answered = time.monotonic()
        super().on_response_complete()
        if self._ended and self._all_answered():
            self.transport.close()

    def shutdown(self) -> None:
        """End, when what is under way is answered."""
        self._let_go()
        super().shutdown()

    def _let_go(self) -> None:
        """Give to uvicorn what was kept for a body that may take longer, and to the transport its reading."""
        if self._kept:
            kept, self._kept = self._kept, b""
            self._hand_on(kept)
        if self._sink and not self._sink.left:
            self._sink.release()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open for answers that are under way: a client that sends no more may well read on."""
        self._let_go()
        self._ended = True
        if self._all_answered():
            return False
        if self.scheme == "http" and not self._within_message:
            return True
        self._give_up()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the connection."""
        if self._sink:
            self._sink.release()
        self._give_up()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Note who is answering: uvicorn itself forgets when another request arrives."""
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _give_up(self) -> None:
        """Tell whoever is still answering that nobody reads it any more."""
        if self._answering and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request, or one with too long a head.

        Where too many requests wait, the connection ends with the answer to the last of them.
        """
        if self._too_long:
            self._refuse_head()
        elif not self._too_many:
            super().send_400_response(msg)
            self._give_up()

    def _refuse_head(self) -> None:
        self.transport.write(_closing(431, b'{"error":"the head of the request is too long"}'))
        self.transport.close()
        self._give_up()

    def tend(self, now: float) -> None:
        """Close a connection that keeps us waiting.

        For a head, for the rest of a body that nobody wants any more, or idle for the next request. One whose
        client takes nothing of what it was sent is cut off.
        """
        settings = self.fast_path.service.settings
        if self._quiet:
            self._let_go()
        else:  # cheaper than a look at the clock for each request
            self._quiet, self._active = True, now
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
        if self._head_bytes > self.fast_path.service.settings.max_header_bytes:
            self._too_long = True
            raise ValueError("the head of the request is too long")


def _closing(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b" % (
        STATUS_LINE[status],
        len(body),
        headers,
        body,
    )
