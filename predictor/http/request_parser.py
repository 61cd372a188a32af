"""Parses the requests of a connection, one at a time."""

import time
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from predictor.errors import InvalidInput, PredictorError
from predictor.http.head import FIELD_BYTES, Overhead, check_host, origin_form
from predictor.http.message_end import MessageEnd
from predictor.http.timers import Phase, Timers
from predictor.settings import Settings


class RequestParser(HttpToolsProtocol):
    """The part of a connection that feeds httptools, and is called by it.

    Attributes:
        phase: what the next byte belongs to.
    """

    settings: Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timers = Timers(self.settings, self.timeout_keep_alive)
        self.phase = Phase.BETWEEN
        self._overhead = Overhead(self.settings.max_header_bytes)
        self._end = MessageEnd()

    def refuse(self, error: PredictorError) -> None:
        """Refuse what can't be parsed any further."""
        raise NotImplementedError

    def parse_part(self, data: bytes, place: int) -> int:
        """Parse the current request as far as it is there; returns the place behind what was parsed."""
        end = self._end.find(data, place)
        part = data[place:end]
        try:
            if self.phase is not Phase.BODY:
                self._overhead.add(len(part))
            self._feed(part)
            if self.phase is Phase.BODY and self._end.body_left is None:
                self._overhead.add_part(len(part))
        except PredictorError as error:
            self.refuse(error)
            return len(data)
        return end

    def _feed(self, part: bytes) -> None:
        """Feed the parser; a request that asks for another protocol is parsed as if it did not.

        A server may ignore Upgrade (RFC 9110, 7.8). httptools leaves the body of such a request unread, and
        would take it for the next request.
        """
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade as upgrade:
            part = self._head_without_upgrade() + part[upgrade.args[0] :]
            self._new_parser()
            self._feed(part)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, PredictorError):
                raise error.__context__ from None
            raise InvalidInput("this is not a valid HTTP request") from error

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        fields = (b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade")
        return b"%b%b\r\n" % (line, b"".join(fields))

    def _new_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._overhead.begin()

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self.phase = Phase.HEAD
        self.timers.head_since = time.monotonic()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; trailers are counted too, and otherwise ignored (RFC 9110, 6.5.1)."""
        self._overhead.add(FIELD_BYTES)
        if self.phase is Phase.HEAD:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Start to answer a request."""
        if self.parser.get_method() == b"CONNECT":
            raise InvalidInput("CONNECT asks for a tunnel, and this server is not a proxy")
        if self.parser.should_upgrade():
            return
        check_host(self.headers, self.parser.get_http_version())
        self.url = origin_form(self.url)
        self._overhead.begin()
        lengths = (int(value) for name, value in self.headers if name == b"content-length")
        self._end.body_left = next(lengths, None)
        super().on_headers_complete()
        self.phase = Phase.BODY

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        if self._end.body_left is None:
            self._overhead.add_chunk(len(body))
        else:
            self._end.body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for the next request; one that asks for another protocol has not begun yet."""
        if self.phase is Phase.BODY:
            self.phase = Phase.BETWEEN
            self._end.begin()
            self._overhead.begin()
            super().on_message_complete()
