"""CloudEvents 1.0 over HTTP: an event in, binary or structured, and the prediction as an event out.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
The response has the type and the source that KServe's own model server gives it.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from predictor.codecs import json_document
from predictor.codecs.json_document import ABSENT
from predictor.errors import InvalidInput, UnsupportedMediaType
from predictor.identity import Identity
from predictor.messages import JSON, Handler, Request, RequestHeaders, Response
from predictor.service.inference import InferenceService

ENDPOINTS = frozenset({"v1_predict", "v1_explain", "v2_infer"})
"""The endpoints that take events."""

_ANY_FORMAT = b"application/cloudevents"
_STRUCTURED = b"application/cloudevents+json"
_PREFIX = b"ce-"
_VERSIONS = ("1.0", "0.3")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""Characters that are not percent-encoded in a header field."""
_QUOTED = re.compile(rb'"(.*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

_Text = Annotated[str, Meta(min_length=1)]


class _Attributes(Struct):
    """The required attributes, and those of the trace; other attributes are skipped."""

    specversion: _Text
    id: _Text
    source: _Text
    type: _Text
    traceparent: object = None
    tracestate: object = None


class _Event(_Attributes):
    """An event in the JSON format. Its data stay bytes, so nothing is lost on the way to their reader."""

    datacontenttype: str | None = None
    data: Raw = ABSENT
    data_base64: bytes | None = None


_EVENT = msgspec.json.Decoder(_Event)


def is_event(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a request is a CloudEvent, in whatever mode."""
    return b"ce-specversion" in fields or _has_event_format(fields)


def wrap(handler: Handler, service: InferenceService) -> Handler:
    """Return a handler of events around a handler of their data.

    The request has the event's id, unless the client gives another one as it could without an event, and is
    part of the event's trace, unless the header fields name one.
    """

    def handle(request: Request) -> Response:
        structured = _has_event_format(request.fields)
        body, headers = request.body, request.headers
        try:
            event = _read(request, structured=structured)
            if not request.fields.get(b"x-request-id"):
                request.identify(event.id)
            if not request.identity.parent_id:
                request.identity = service.telemetry.decide(_in_trace(request.identity, event))
            return _respond(request.identity, handler(request), service, structured=structured)
        finally:  # the service calls this again, in a thread, if the event loop is no place for it
            request.body, request.headers = body, headers

    return handle


def _has_event_format(fields: Mapping[bytes, bytes]) -> bool:
    return fields.get(b"content-type", b"").lower().startswith(_ANY_FORMAT)


def _in_trace(identity: Identity, event: _Attributes) -> Identity:
    """Return the names of a request as part of the trace of its event, if that is in one."""
    parent, state = event.traceparent, event.tracestate
    if not isinstance(parent, str):
        return identity
    return identity.within(parent, state if isinstance(state, str) else "")


def _read(request: Request, *, structured: bool) -> _Attributes:
    """Check an event, and replace a structured one by its data."""
    try:
        event = _read_body(request) if structured else _read_fields(request.fields)
    except msgspec.ValidationError as error:  # its message has no values
        raise InvalidInput(f"the CloudEvent is not valid: {error}") from None
    if event.specversion not in _VERSIONS:
        raise InvalidInput(f"unsupported specversion of the CloudEvent; use {_VERSIONS[0]}")
    if isinstance(event, _Event):
        _take_data(request, event)
    return event


def _read_fields(fields: Mapping[bytes, bytes]) -> _Attributes:
    try:
        given = {
            name[3:].decode(): _text(value) for name, value in fields.items() if name.startswith(_PREFIX)
        }
    except UnicodeDecodeError:
        raise InvalidInput("a header field of the CloudEvent is not UTF-8") from None
    return msgspec.convert(given, _Attributes)


def _read_body(request: Request) -> _Event:
    media = request.fields[b"content-type"].partition(b";")[0].strip().lower()
    if media != _STRUCTURED:
        shown = media.decode("latin-1")[:80]
        raise UnsupportedMediaType(
            f"unsupported content type {shown}; use {_STRUCTURED.decode()}, with one event in a request"
        )
    return json_document.decode(_EVENT, request.body)


def _take_data(request: Request, event: _Event) -> None:
    if event.data is not ABSENT and event.data_base64 is not None:
        raise InvalidInput("the CloudEvent has both data and data_base64")
    if event.data is ABSENT and event.data_base64 is None:
        raise InvalidInput("the CloudEvent has no data")
    request.body = bytes(event.data) if event.data_base64 is None else event.data_base64
    content_type = (event.datacontenttype or "").encode()
    request.headers = RequestHeaders.of({**request.fields, b"content-type": content_type})


def _text(value: bytes) -> str:
    """Decode the value of a header field: quoted as in RFC 7230, 3.2.6, then percent-encoded."""
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPED.sub(rb"\1", quoted[1])
    return unquote_to_bytes(value).decode()


def _respond(
    identity: Identity, response: Response, service: InferenceService, *, structured: bool
) -> Response:
    """Write a response as an event with an id of its own, in the same trace."""
    settings = service.settings
    event = {
        "specversion": "1.0",
        "id": Identity.new().request_id.decode(),
        "source": settings.ce_source or f"io.kserve.inference.{service.handle.name}",
        "type": settings.ce_type,
        "time": datetime.now(UTC).isoformat(),
        "traceparent": identity.traceparent.decode(),
    }
    if identity.state:
        event["tracestate"] = identity.state.decode()
    if not structured:
        fields = tuple((f"ce-{name}".encode(), quote(text, _PLAIN).encode()) for name, text in event.items())
        return response._replace(headers=(*response.headers, *fields))
    event["datacontenttype"] = response.content_type.decode()
    name, data = b"data", response.body
    if response.content_type != JSON:
        name, data = b"data_base64", b'"%b"' % b64encode(data)
    body = b'%b,"%b":%b}' % (orjson.dumps(event)[:-1], name, data)
    return response._replace(body=body, content_type=_STRUCTURED)
