"""One HTTP connection: the fast path answers what it can, the ASGI application everything else.

A subclass of uvicorn's httptools protocol. The parser gets one request at a time. The bytes behind it wait
until it is answered: so responses keep their order, and a request that waits costs no more than its bytes.
"""

import asyncio
import time
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from predictor.endpoints.routing import Routes
from predictor.endpoints.small_json import SMALL
from predictor.errors import PredictorError, TooManyConnections
from predictor.http.body_discarder import BodyDiscarder
from predictor.http.fast_path import FastPath
from predictor.http.head_cache import CachedRequest
from predictor.http.request_parser import RequestParser
from predictor.http.timers import Phase
from predictor.http.unread import Unread
from predictor.identity import Identity
from predictor.messages import Response
from predictor.service.inference import InferenceService

TESTED_VERSIONS = {"uvicorn": "0.54.0", "httptools": "0.9.0"}
"""The connection class overrides internals of these packages, so only tested versions may run."""

_TURN_SECONDS = 0.002
"""How long one connection is served before others have their turn."""
_LAST_SECONDS = 1.0
"""How long a client may go on sending when the server ends, or has too many connections."""
_CLOSE = (b"connection", b"close")


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


class FastProtocol(RequestParser):
    """One connection."""

    fast_path: FastPath

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._service = self.fast_path.service
        self.settings = self._service.settings
        super().__init__(*args, **kwargs)
        self._cached: CachedRequest | None = None
        self._discard = 0
        self._discarder: BodyDiscarder | None = None
        self._partial = False
        self._sends_no_more = False

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        self._unread = Unread(self._service.memory, transport)
        # To close it leaves the client time to read the response.
        self._response_transport = SimpleNamespace(
            write=transport.write, is_closing=transport.is_closing, close=self._close
        )
        if len(self.connections) > self.settings.max_connections:
            self.refuse(TooManyConnections("too many connections", retry_after=1), _LAST_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once; the rest waits."""
        self.timers.received = True
        if self._unread.requests:
            self._partial = False
            data = self._unread.take() + data
        place = self._answer_known(data, 0) if self.phase is Phase.BETWEEN else 0
        if place < len(data) or self.phase is Phase.REFUSED:
            self._process(data, place)

    def pause_writing(self) -> None:
        """Count responses that the client does not read against the memory budget."""
        super().pause_writing()
        self._unread.count(paused=True)

    def resume_writing(self) -> None:
        """Go on with the requests that waited for the client to read."""
        super().resume_writing()
        self._unread.count(paused=False)
        self.loop.call_soon(self._resume)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open for responses that are under way: a client that sends no more may well read on."""
        self._sends_no_more = True
        self._parse_partial()
        return self.scheme == "http" and self.phase is not Phase.CLOSING and not self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the connection."""
        self.phase = Phase.CLOSING
        if self._discarder:
            self._discarder.release()
        self._unread.release()
        self._abandon()
        super().connection_lost(exc)

    # One request after the other

    def _answer_known(self, data: bytes, place: int) -> int:
        """Answer requests whose heads are cached; returns the place behind them in ``data``.

        If the body of the last one is not complete, it waits for its rest.
        """
        if not self._ready() or self._service.handle.draining:
            return place
        fast_path, cached = self.fast_path, self._cached
        client = self.client[0] if self.client else ""
        turn_end = 0.0
        while place < len(data):
            if cached is not None and data.startswith(cached.head, place):
                head, start = cached.head, place + len(cached.head)
            else:
                start = data.find(b"\r\n\r\n", place) + 4
                head = data[place:start]
                cached = self._cached = fast_path.heads.find(head)
                if cached is None:
                    break
            end = start + cached.length
            if cached.large:
                return start if self._refuse_large(cached, head) else place
            if end > len(data):
                self._partial = cached.length <= SMALL
                break
            answer = fast_path.answer(
                cached, head, data[start:end], client, self.server_state.default_headers
            )
            if answer is None:
                break
            self.transport.write(answer)
            place = end
            if place < len(data):
                turn_end = turn_end or time.perf_counter() + _TURN_SECONDS
                if self.flow.write_paused or time.perf_counter() > turn_end:
                    break
        return place

    def _refuse_large(self, cached: CachedRequest, head: bytes) -> bool:
        """Refuse a large body if there is no room for it; returns whether."""
        refusal = self.fast_path.refuse(cached, head, self.server_state.default_headers)
        if refusal is not None:
            self.transport.write(refusal)
            self.timers.answered = time.monotonic()
            self.phase, self._discard = Phase.REFUSED, cached.length
        return refusal is not None

    def _process(self, data: bytes, place: int) -> None:
        """Take requests from a place of ``data`` on, until one has to be answered before the next."""
        turn_end = time.perf_counter() + _TURN_SECONDS
        while not self._waits() and time.perf_counter() < turn_end:
            place = self._take_part(data, place)
            if place == len(data):
                self._discard_rest()
                return
        self._unread.requests = data[place:]
        if self._partial:
            return
        self.flow.pause_reading()
        if not self._waits():
            self.loop.call_soon(self._resume)
        elif not self._unread.count(paused=self.flow.write_paused):
            self._drop_requests()

    def _take_part(self, data: bytes, place: int) -> int:
        """Answer, parse or discard bytes from a place of ``data`` on; returns the place behind them."""
        if self.phase is Phase.BETWEEN:
            answered = self._answer_known(data, place)
            return answered if answered > place or self._partial else self.parse_part(data, place)
        if self.phase in (Phase.HEAD, Phase.BODY):
            return self.parse_part(data, place)
        size = len(data) - place
        if self.phase is Phase.REFUSED:
            size = min(size, self._discard)
        self._discard -= size
        if self._discard <= 0 and self.phase is Phase.REFUSED:
            self.phase = Phase.BETWEEN
        elif self._discard <= 0:
            self.transport.close()
        return place + size

    def _discard_rest(self) -> None:
        """Let the kernel discard the rest of a refused body; with TLS it has to be read."""
        if self.phase is not Phase.REFUSED or self.scheme != "http":
            return
        if self._discarder is None:
            self.flow.pause_reading()
            self._discarder = BodyDiscarder(self.loop, self.transport, self._begin_behind, self._read_again)
        self._discarder.discard(self._discard)

    def _begin_behind(self, data: bytes) -> None:
        """Take the first bytes behind a refused body."""
        self.phase = Phase.BETWEEN
        self.data_received(data)
        if self.phase is not Phase.REFUSED and self._discarder:
            self._discarder.release()

    def _read_again(self) -> None:
        self._discarder = None
        if not self._unread.requests and not self.transport.is_closing():
            self.flow.resume_reading()

    def _resume(self) -> None:
        """Go on with the requests that wait, once the one before them is answered and sent.

        While a body is discarded, the transport must not read: it would take bytes from the discarder.
        """
        if self.transport.is_closing() or self._discarder or self._waits():
            return
        self.flow.resume_reading()
        if self._unread.requests:
            self._process(self._unread.take(), 0)
        if self._sends_no_more:
            self._parse_partial()
        self._finish()

    def _ready(self) -> bool:
        """Return whether all requests are answered, and most of the responses sent."""
        return self._all_answered() and not self.flow.write_paused

    def _waits(self) -> bool:
        return self._partial or (self.phase is Phase.BETWEEN and not self._ready())

    def _all_answered(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete

    def _parse_partial(self) -> None:
        """Parse a small request whose body is late, so that the application waits for it."""
        if self._partial:
            self._partial = False
            data, place = self._unread.take(), 0
            while place < len(data):
                place = self.parse_part(data, place)

    # Responses, and the end

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.transport = self._response_transport  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.timers.answered = time.monotonic()
        if self.phase is not Phase.CLOSING and not self.transport.is_closing():
            self.flow.resume_reading()
            if self._unread.requests or self._sends_no_more:
                self.loop.call_soon(self._resume)

    def refuse(self, error: PredictorError, seconds: float | None = None) -> None:
        """Refuse what can't be parsed any further, and close the connection."""
        identity = Identity.new()
        if self.phase is not Phase.BODY or not self.cycle.response_started:
            response = Response.refusal(error)
            response = response._replace(headers=(*response.headers, _CLOSE))
            self.transport.write(self.fast_path.write(response, self.server_state.default_headers, identity))
        if self.phase is not Phase.BODY:  # no call has begun that would be counted
            self._service.metrics.series("unparsed").observe(error.status, 0, 0)
            self._service.count_refusal(error, "unparsed", "http", identity)
        self._abandon()
        self._linger(self.settings.read_seconds if seconds is None else seconds)

    def _drop_requests(self) -> None:
        """Answer no more than the current request: there is no memory for those behind it."""
        if self._all_answered():
            self._linger(self.settings.read_seconds)
        else:
            self.cycle.keep_alive = False
            self.phase, self._discard = Phase.CLOSING, self.settings.max_body_bytes
            self._unread.release()

    def _close(self) -> None:
        """Close the connection; if the client is still sending, once it has read the response."""
        if self.phase is Phase.BETWEEN and not self._unread.requests:
            self.transport.close()
        else:
            draining = self._service.handle.draining
            self._linger(_LAST_SECONDS if draining else self.settings.read_seconds)

    def _linger(self, seconds: float) -> None:
        """Close the sending direction, and for some time discard what still comes.

        If the connection was closed at once, the kernel would answer what still comes with a reset, which can
        overtake the response and destroy it.
        """
        self.phase, self._discard = Phase.CLOSING, self.settings.max_body_bytes
        self._unread.requests = b""
        self._unread.count(paused=self.flow.write_paused)
        if self._discarder:
            self._discarder.release()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(0 if self._sends_no_more else seconds, self.transport.close)

    def _finish(self) -> bool:
        """Close the connection if its client sends no more and nothing is to be answered; returns whether."""
        incomplete = self.phase in (Phase.HEAD, Phase.BODY)
        done = self._sends_no_more and not self._unread.requests and (incomplete or self._all_answered())
        if done:
            self._abandon()
            self.transport.close()
        return done

    def _abandon(self) -> None:
        """Tell the application that the client waits no longer for a response, or for 100 Continue."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected, cycle.waiting_for_100_continue = True, False
            cycle.message_event.set()

    def shutdown(self) -> None:
        """End, once the request under way is answered."""
        self._parse_partial()
        if not self._all_answered():
            self.cycle.keep_alive = False
        elif self.phase in (Phase.BODY, Phase.REFUSED):
            self._linger(_LAST_SECONDS)
        else:
            self.transport.close()

    def check_timers(self, now: float) -> None:
        """Close a connection that keeps the server waiting; called once a second."""
        self._parse_partial()
        unsent = self.transport.get_write_buffer_size()
        if self.timers.stuck(now, unsent):
            self.transport.abort()
        elif not unsent and self.timers.expired(now, self.phase, answered=self._all_answered()):
            self.transport.close()
