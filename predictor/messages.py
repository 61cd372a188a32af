"""What a request says in its headers, and what it is answered: values between a transport and the service."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.errors import (
    DeadlineExceeded,
    HeaderFields,
    NotAcceptable,
    PredictorError,
    UnsupportedMediaType,
)
from predictor.identity import Identity

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
CSV = b"text/csv"
ARROW = b"application/vnd.apache.arrow.stream"
BINARY = b"application/octet-stream"
TEXT = b"text/plain; charset=utf-8"

CODINGS = (b"zstd", b"gzip")
"""The content codings of responses, the preferred one first."""

_FORM = b"application/x-www-form-urlencoded"
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii")
_ABOUT_THE_BODIES = (
    b"content-type",
    b"accept",
    b"inference-header-content-length",
    b"content-encoding",
    b"accept-encoding",
)


class Principal(NamedTuple):
    """The owner of a credential, with the scopes that it grants.

    Attributes:
        name: empty for a client without a credential.
        scopes: what it may ask for.
        expires: when the credential does, in seconds since 1970.
    """

    name: str
    scopes: frozenset[str]
    expires: float = float("inf")


PROBE_ID = b"rollout-probe"
"""The id of a rollout's own requests, which say nothing about what users ask."""

UNAUTHORIZED = Principal("", frozenset())
"""The principal of a request that was not authorized."""


class Response(NamedTuple):
    """A response: its body, its status and header fields, and how many rows it predicts.

    Attributes:
        stored: must be done before the response is sent, where something has to be stored first.
        error: why there is no prediction; None for a success.
    """

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: HeaderFields = ()
    rows: int = 0
    stored: "Future[None] | None" = None
    error: PredictorError | None = None

    @classmethod
    def of(cls, document: object) -> "Response":
        """Return a JSON document."""
        return cls(orjson.dumps(document))

    @classmethod
    def refusal(cls, error: PredictorError) -> "Response":
        """Return ``{"error": "what and where"}``."""
        # Its frames hold the body, and one of them the response: memory until the garbage collector runs.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        body = orjson.dumps({"error": str(error)})
        return cls(body, error.status, headers=error.headers, error=error)


class RequestHeaders(NamedTuple):
    """What the headers say about the body, and about the response that is wanted.

    Attributes:
        media: the body's content type in lower case without parameters; JSON where none is given, and where
            curl sends its default one.
        accept: the accepted media types in the client's order of preference; empty for any.
        json_length: bytes of JSON before the binary tensors of the Open Inference Protocol, as sent; None
            without binary tensors.
        content_encoding: the body's content coding, as sent.
        response_coding: the content coding of the response; empty for none.
    """

    media: bytes = JSON
    accept: tuple[bytes, ...] = ()
    json_length: bytes | None = None
    content_encoding: bytes = b""
    response_coding: bytes = b""

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> "RequestHeaders":
        """Read header fields with lower-case names.

        Raises:
            UnsupportedMediaType: text in another charset than UTF-8.
        """
        return _headers(*map(fields.get, _ABOUT_THE_BODIES))

    @property
    def plain(self) -> bool:
        """True if request and response are JSON and neither needs a content coding."""
        wanted = self.accept[0] if self.accept else b"*/*"
        uncoded = not self.content_encoding and self.json_length is None
        return self.media == JSON and wanted in (b"*/*", JSON) and uncoded

    def choose(self, *offered: bytes) -> bytes:
        """Return the offered media type that the client prefers.

        Raises:
            NotAcceptable: the client accepts none of them.
        """
        if not self.accept:
            return offered[0]
        for wanted in self.accept:
            for offer in offered:
                if wanted in (b"*/*", offer) or (wanted.endswith(b"/*") and offer.startswith(wanted[:-1])):
                    return offer
        raise NotAcceptable(f"the response can be {b', '.join(offered).decode()}")

    def require(self, *known: bytes) -> bytes:
        """Return the body's media type if it is a known one.

        Raises:
            UnsupportedMediaType: it is another.
        """
        if self.media not in known:
            media, use = self.media.decode("latin-1")[:80], b", ".join(known).decode()
            raise UnsupportedMediaType(f"unsupported content type {media}; use {use}")
        return self.media


_JSON_HEADERS = RequestHeaders()


@dataclass(slots=True)
class Request:
    """One request whose body is here, on its way through an endpoint.

    Attributes:
        fields: all header fields (HTTP) or metadata (gRPC), with lower-case names.
        principal: who asks.
        inline: whether it is computed on the event loop, where nothing may take long.
        deadline: when the client stops waiting, by ``time.monotonic``.
        abandoned: set when nobody waits for the response any more.
        identity: the names of the request.
        predictions: rows of shape (n, d) and their predictions of shape (n,), where they are recorded.
    """

    headers: RequestHeaders = _JSON_HEADERS
    body: bytes | bytearray = b""
    fields: Mapping[bytes, bytes] = field(default_factory=dict)
    principal: Principal = UNAUTHORIZED
    inline: bool = False
    deadline: float = float("inf")
    abandoned: bool = False
    identity: Identity = field(default_factory=Identity.new)
    predictions: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The name of the request, for feedback."""
        return self.identity.request_id.decode()

    def identify(self, given: str | None) -> None:
        """Name the request by an id that is not in its header fields, if there is one."""
        if given:
            self.identity = self.identity.named(given)

    def checkpoint(self) -> None:
        """End long work that nobody waits for; to be called between its pieces.

        Raises:
            DeadlineExceeded: the client is gone, or the deadline has passed.
        """
        if self.abandoned or time.monotonic() > self.deadline:
            raise DeadlineExceeded("the response was not ready in time")


Handler = Callable[[Request], Response]


@lru_cache(64)  # most clients send the same with every request
def _headers(
    media: bytes | None,
    accept: bytes | None,
    json_length: bytes | None,
    content_encoding: bytes | None,
    accept_encoding: bytes | None,
) -> RequestHeaders:
    """Read the fields of ``_ABOUT_THE_BODIES``."""
    coding = _coding(accept_encoding or b"")
    return RequestHeaders(
        _media(media or b""), _accepted(accept or b""), json_length, content_encoding or b"", coding
    )


def _media(value: bytes) -> bytes:
    media, *parameters = (part.strip() for part in value.lower().split(b";"))
    for parameter in parameters:
        name, _, charset = parameter.partition(b"=")
        if name == b"charset" and charset.strip(b'"') not in _CHARSETS:
            raise UnsupportedMediaType(f"unsupported charset {charset.decode('latin-1')[:40]}; use utf-8")
    return JSON if media in (b"", _FORM) or media.endswith((b"+json", b"/json")) else media


def _accepted(value: bytes) -> tuple[bytes, ...]:
    """Return the media types of an Accept header by falling quality, without quality 0 (RFC 9110, 12.5.1)."""
    ranked = [(quality, item) for item, quality in _weighted(value) if quality > 0]
    ranked.sort(key=lambda pair: -pair[0])
    return tuple(media for _, media in ranked)


def _coding(value: bytes) -> bytes:
    """Return the content coding for a response by Accept-Encoding; empty for none (RFC 9110, 12.5.3)."""
    accepted = {coding for coding, quality in _weighted(value) if quality > 0}
    return next((coding for coding in CODINGS if coding in accepted), b"")


def _weighted(value: bytes) -> list[tuple[bytes, float]]:
    """Return the items of a header field with their quality, 1 where it is missing or malformed."""
    found = []
    for item in value.lower().split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        if name:
            weight = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
            try:
                found.append((name, float(weight)))
            except ValueError:
                found.append((name, 1.0))
    return found
