"""What a request says in its headers, and what it is answered: the plain values between wire and model."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from predictor.codecs import compression
from predictor.errors import Headers, NotAcceptable, PredictorError, UnsupportedMedia

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
CSV = b"text/csv"
ARROW = b"application/vnd.apache.arrow.stream"
BINARY = b"application/octet-stream"
TEXT = b"text/plain; charset=utf-8"

_FORM = b"application/x-www-form-urlencoded"
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii")


class Response(NamedTuple):
    """A response: its body, what goes into the head before it, and how many rows it predicts.

    ``waits`` is what has to be done before it may be sent, where there is such a thing.
    """

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Headers = ()
    rows: int = 0
    waits: "Future[None] | None" = None

    @classmethod
    def of(cls, document: object, status: int = 200) -> "Response":
        """A JSON document."""
        return cls(orjson.dumps(document), status)

    @classmethod
    def refusal(cls, error: PredictorError) -> "Response":
        """What a client is told of an error: ``{"error": what and where}``."""
        return cls(orjson.dumps({"error": str(error)}), error.status, headers=error.headers)


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """What the headers say about the body that comes, and about the answer wanted.

    Attributes:
        media: the body's content type, lower case, without parameters; JSON where none is given, and where
            curl gives its default one.
        accept: the kinds of answer accepted, in the client's order of preference; empty for any.
        json_length: bytes of JSON before the binary tensors of the Open Inference Protocol, as sent; None
            where there are none.
        encoding: the body's content coding, as sent.
        reply_encoding: the content coding to answer in; empty for none.
        request_id: what the client calls the request; None where it does not.
    """

    media: bytes = JSON
    accept: tuple[bytes, ...] = ()
    json_length: bytes | None = None
    encoding: bytes = b""
    reply_encoding: bytes = b""
    request_id: bytes | None = None

    @classmethod
    def of(cls, headers: Mapping[bytes, bytes]) -> "RequestHeaders":
        """Read headers with lower-case names.

        Raises:
            UnsupportedMedia: text in another charset than UTF-8.
        """
        return cls(
            media=_media(headers.get(b"content-type", b"")),
            accept=_accepted(headers.get(b"accept", b"")),
            json_length=headers.get(b"inference-header-content-length"),
            encoding=headers.get(b"content-encoding", b""),
            reply_encoding=compression.choose(headers.get(b"accept-encoding", b"")),
            request_id=headers.get(b"x-request-id"),
        )

    @property
    def plain(self) -> bool:
        """Whether JSON comes, JSON is to be answered, and a short answer is not compressed anyway."""
        wanted = self.accept[0] if self.accept else b"*/*"
        uncoded = not self.encoding and self.json_length is None
        return self.media == JSON and wanted in (b"*/*", JSON) and uncoded

    def choose(self, *offered: bytes) -> bytes:
        """The kind of answer to give: the first offered that is accepted most.

        Raises:
            NotAcceptable: none is.
        """
        if not self.accept:
            return offered[0]
        for kind in self.accept:
            for offer in offered:
                if kind in (b"*/*", offer) or (kind.endswith(b"/*") and offer.startswith(kind[:-1])):
                    return offer
        raise NotAcceptable(f"the answer can be {b', '.join(offered).decode()}")

    def require(self, *known: bytes) -> bytes:
        """The body's media type, if it is one of those known.

        Raises:
            UnsupportedMedia: it is another.
        """
        if self.media not in known:
            kinds = b", ".join(known).decode()
            raise UnsupportedMedia(
                f"content type {self.media.decode('latin-1')} is not known here, only {kinds}"
            )
        return self.media


def _media(value: bytes) -> bytes:
    media, *parameters = (part.strip() for part in value.lower().split(b";"))
    for parameter in parameters:
        name, _, charset = parameter.partition(b"=")
        if name == b"charset" and charset.strip(b'"') not in _CHARSETS:
            raise UnsupportedMedia(f"charset {charset.decode('latin-1')} is not known here, only utf-8")
    return JSON if media in (b"", _FORM) or media.endswith(b"+json") else media


def _accepted(value: bytes) -> tuple[bytes, ...]:
    """The media types of an Accept header by falling quality, none of quality 0 (RFC 9110, 12.5.1)."""
    ranked: list[tuple[float, bytes]] = []
    for item in value.lower().split(b","):
        media, *parameters = (part.strip() for part in item.split(b";"))
        if media:
            quality = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
            ranked.append((_quality(quality), media))
    ranked.sort(key=lambda pair: -pair[0])
    return tuple(media for quality, media in ranked if quality > 0)


def _quality(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 1.0
