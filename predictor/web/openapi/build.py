"""Helpers that build parts of an OpenAPI document, as plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

from predictor import messages

Json = dict[str, Any]
Schema = Json | str
"""A schema, or the name of one: of a basic type in lower case, or among the components."""

JSON, NDJSON, CSV, ARROW, BINARY = (
    media.decode()
    for media in (messages.JSON, messages.NDJSON, messages.CSV, messages.ARROW, messages.BINARY)
)
TEXT, HTML = "text/plain", "text/html"

_BASIC: dict[str, Json] = {
    "string": {"type": "string"},
    "string?": {"type": ["string", "null"]},
    "boolean": {"type": "boolean"},
    "true": {"const": True},
    "integer": {"type": "integer", "format": "int64"},
    # Without the format some generated clients would round to single precision.
    "number": {"type": "number", "format": "double"},
    # OpenAPI 3.1 needs no schema for binary content, but generators leave out operations without one.
    "bytes": {"type": "string", "format": "binary"},
}

ERRORS = {
    400: ("BadRequest", "The input is invalid; the message says what is wrong and where."),
    401: ("Unauthorized", "The credential is missing, unknown or expired."),
    403: ("Forbidden", "The credential lacks the scope."),
    404: ("NotFound", "The path, model or version does not exist."),
    405: ("MethodNotAllowed", "The path does not support this method; the Allow header lists those it does."),
    406: ("NotAcceptable", "The response can't have any of the types in Accept."),
    408: ("ReadTimeout", "The body took too long to arrive."),
    409: ("Conflict", "The server, as it is configured, can't make that change."),
    413: ("TooLarge", "The body, or its number of rows, exceeds the limit."),
    415: ("UnsupportedMediaType", "The content type is not supported."),
    431: ("HeadersTooLarge", "The request line and headers exceed the limit."),
    503: ("Unavailable", "The model is not ready, or the server is overloaded; try again later."),
    504: ("DeadlineExceeded", "The response could not be computed in time."),
}
_BODY_ERRORS = (400, 408, 413, 415, 503, 504)
"""The errors of operations that read a body."""

SCOPE = "x-scope"
"""The extension of an operation that names the scope a credential must grant."""


def schema(found: Schema, **more: Any) -> Json:
    """Return a schema, that of a basic type, or a reference to one of the components; ``more`` is added."""
    if isinstance(found, str):
        found = _BASIC.get(found) or {"$ref": f"#/components/schemas/{found}"}
    return {**found, **more}


def one_of(*schemas: Schema) -> Json:
    """Return the schema of what matches exactly one of several."""
    return {"oneOf": list(map(schema, schemas))}


def array(items: Schema, *, length: int | None = None, **more: Any) -> Json:
    """Return the schema of an array, of exactly ``length`` items if that is given."""
    exact = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": schema(items), **exact, **more}


def record(properties: Mapping[str, Any], *, optional: Sequence[str] = (), **more: Any) -> Json:
    """Return the schema of an object. Other properties are allowed, and all but ``optional`` are required."""
    described = {name: schema(found) for name, found in properties.items()}
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": described, "required": required, **more}


def content(found: Schema, media: str = JSON, **examples: Any) -> Json:
    """Return the content of a media type, with examples by name; ``|`` joins those of several types."""
    named = {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}
    return {media: {"schema": schema(found), **named}}


def error_response(status: int) -> Json:
    """Refer to the response of a status."""
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def operation(
    tag: str,
    name: str,
    summary: str,
    answer: str,
    answered: Json,
    *errors: int,
    description: str,
    scope: str | None = None,
    body: Json | None = None,
    **more: Any,
) -> Json:
    """Return an operation.

    Args:
        tag: its group.
        name: its id.
        summary: what it does.
        answer: what the response of a success is.
        answered: the content of that, by media type.
        errors: the statuses of its errors, beside those that every operation or one with a body has.
        description: how it does that.
        scope: what a credential must grant.
        body: the content of the request, by media type.
        more: its other members.
    """
    refusals = sorted({*errors, 405, *(_BODY_ERRORS if body else ())})
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        **({SCOPE: scope} if scope else {}),
        **more,
        **({"requestBody": {"required": True, "content": body}} if body else {}),
        "responses": {
            "200": {"description": answer, "content": answered},
            **{str(status): error_response(status) for status in refusals},
        },
    }


def path_parameter(name: str, description: str, found: Schema, **more: Any) -> Json:
    """Return a parameter in the path with its schema."""
    place = {"name": name, "in": "path", "required": True, "description": description}
    return {**place, "schema": schema(found), **more}
