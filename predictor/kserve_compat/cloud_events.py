"""CloudEvents 1.0 over HTTP, binary and structured: an event in, the prediction as an event out.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
The response has the type and the source that KServe's own model server gives it.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from predictor.codecs import json_strict
from predictor.codecs.cost import require_cheap
from predictor.errors import InvalidInput, UnsupportedMediaType
from predictor.messages import JSON, Handler, Request, RequestHeaders, Response, request_id

ENDPOINTS = frozenset({"v1_predict", "v1_explain", "v2_infer"})
"""The endpoints that take events."""

STRUCTURED = b"application/cloudevents"
_VERSIONS = ("1.0", "0.3")
_REQUIRED = ("id", "source", "type", "specversion")


def is_event(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a request is a CloudEvent, binary or structured."""
    return b"ce-specversion" in fields or fields.get(b"content-type", b"").lower().startswith(STRUCTURED)


def wrap(handler: Handler, model: str) -> Handler:
    """Return a handler of events around a handler of their data."""

    def handle(request: Request) -> Response:
        structured = request.fields.get(b"content-type", b"").lower().startswith(STRUCTURED)
        if structured:
            _read_structured(request)
        else:
            _read_binary(request)
        return _event(handler(request), model, structured=structured)

    return handle


def _read_binary(request: Request) -> None:
    """Check the attributes in the header fields; the body is the data."""
    fields = request.fields.items()
    attributes = {name[3:].decode(): value.decode("latin-1") for name, value in fields if name[:3] == b"ce-"}
    _check(attributes)


def _read_structured(request: Request) -> None:
    """Check the attributes in the JSON body, and replace the body by the data."""
    media = request.fields.get(b"content-type", b"").lower().partition(b";")[0].strip()
    if media != b"application/cloudevents+json":
        shown = media.decode("latin-1")[:80]
        raise UnsupportedMediaType(f"unsupported content type {shown}; use application/cloudevents+json")
    require_cheap(len(request.body), inline=request.inline)
    event = json_strict.document(request.body)
    if not isinstance(event, dict):
        raise InvalidInput(f"expected a CloudEvent, got {json_strict.describe(event)}")
    if "data" not in event:
        raise InvalidInput('the member "data" is missing in the CloudEvent')
    _check(event)
    request.body = orjson.dumps(event["data"])
    request.headers = RequestHeaders(JSON, request.headers.accept, request_id=request.headers.request_id)


def _check(attributes: Mapping[str, Any]) -> None:
    for name in _REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise InvalidInput(f'the CloudEvent needs the attribute "{name}", a string')
    if attributes["specversion"] not in _VERSIONS:
        raise InvalidInput(f"unsupported CloudEvents version; use {_VERSIONS[0]}")


def _event(response: Response, model: str, *, structured: bool) -> Response:
    """Write a response as an event with an id of its own."""
    event = {
        "specversion": "1.0",
        "id": request_id(None),
        "source": f"io.kserve.inference.{model}",
        "type": "io.kserve.inference.response",
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(),
    }
    if structured:
        event["datacontenttype"] = JSON.decode()
        body = b'%b,"data":%b}' % (orjson.dumps(event)[:-1], response.body)
        return response._replace(body=body, content_type=STRUCTURED + b"+json")
    fields = tuple((f"ce-{name}".encode(), value.encode()) for name, value in event.items())
    return response._replace(headers=(*response.headers, *fields))
