"""Helpers that build parts of an OpenAPI document, as plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
BINARY = "application/octet-stream"
TEXT = "text/plain"
HTML = "text/html"

STRING: Json = {"type": "string"}
NULLABLE_STRING: Json = {"type": ["string", "null"]}
NUMBER: Json = {"type": "number", "format": "double"}
"""Without the format some generated clients would round to single precision."""
INTEGER: Json = {"type": "integer", "format": "int64"}
BYTES: Json = {"type": "string", "format": "binary"}
"""Binary content. OpenAPI 3.1 needs no schema for it, but generators leave out operations without one."""
TRUE: Json = {"const": True}

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
BODY_ERRORS = (400, 408, 413, 415, 503, 504)
"""The errors of operations that read a body."""

SCOPE = "x-scope"
"""The extension of an operation that names the scope a credential must grant."""


def ref(name: str) -> Json:
    """Refer to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json, *, length: int | None = None, **more: Any) -> Json:
    """Return the schema of an array, of exactly ``length`` items if that is given."""
    exact = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **exact, **more}


def record(properties: Mapping[str, Json], *, optional: Sequence[str] = (), **more: Any) -> Json:
    """Return the schema of an object. Other properties are allowed, and all but ``optional`` are required."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, **more}


def media(schema: Json, **examples: Any) -> Json:
    """Return the content of one media type, with examples by name."""
    named = {"examples": {name: {"value": value} for name, value in examples.items()}}
    return {"schema": schema, **(named if examples else {})}


def body(content: Mapping[str, Json]) -> Json:
    """Return a required request body, by media type."""
    return {"required": True, "content": dict(content)}


def response(description: str, content: Mapping[str, Json], **more: Any) -> Json:
    """Return a response, by media type."""
    return {"description": description, "content": dict(content), **more}


def error_response(status: int) -> Json:
    """Refer to the response of a status."""
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    success: Json,
    *errors: int,
    description: str,
    scope: str | None = None,
    **more: Any,
) -> Json:
    """Return an operation with the response of a success, the statuses of its errors, and its scope."""
    refusals = {str(status): error_response(status) for status in sorted({*errors, 405})}
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": description,
        **({SCOPE: scope} if scope else {}),
        **more,
        "responses": {"200": success, **refusals},
    }


def interval_parameters(rows: int) -> list[Json]:
    """Return the parameter that asks for intervals; none if no rows were held out to know them from."""
    if not rows:
        return []
    description = "The probability with which an interval around each prediction holds the actual value."
    largest = rows / (rows + 1)
    return [
        {
            "name": "interval",
            "in": "query",
            "description": description,
            "schema": {**NUMBER, "exclusiveMinimum": 0, "maximum": largest},
            "example": min(0.9, largest),
        }
    ]


def path_parameter(name: str, description: str, **more: Any) -> Json:
    """Return a parameter in the path; ``more`` is its schema and examples."""
    return {"name": name, "in": "path", "required": True, "description": description, **more}
