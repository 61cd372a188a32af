"""Small helpers that keep the parts of the document readable. They return plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
OCTETS = "application/octet-stream"
TEXT = "text/plain"
HTML = "text/html"

ERRORS = {
    400: ("BadRequest", "The input is wrong; the message says what and where."),
    401: ("Unauthorized", "A credential is needed, or the one given is not known or has expired."),
    403: ("Forbidden", "The credential does not open this scope."),
    404: ("NotFound", "No such path or model."),
    405: ("MethodNotAllowed", "The path has no such method; the Allow header lists those it has."),
    406: ("NotAcceptable", "None of the types in Accept can be given."),
    408: ("ReadTimeout", "The body took too long to arrive."),
    413: ("TooLarge", "The body is larger than the predictor's limit."),
    415: ("UnsupportedMediaType", "The body is of a type this endpoint doesn't read."),
    431: ("HeadTooLarge", "The head of the request, its path included, is longer than the limit."),
    503: ("Unavailable", "The model is not ready, or there is too much to do: try again."),
    504: ("DeadlineExceeded", "The answer could not be computed in time."),
}
WITH_BODY = (400, 408, 413, 415, 503, 504)
"""The errors of a prediction whose rows come in a body."""


STRING: Json = {"type": "string"}

SCOPE = "x-scope"
"""Where an operation says which scope of a credential opens it, if it needs one."""


def ref(name: str) -> Json:
    """Refer to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json, *, length: int | None = None, **more: Any) -> Json:
    """An array of ``items``; of exactly ``length`` of them if that is given."""
    exact = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **exact, **more}


def record(properties: Mapping[str, Json], *, optional: Sequence[str] = (), **more: Any) -> Json:
    """An object whose properties are all required but the ``optional`` ones; others may come with it."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required, **more}


def media(schema: Json | None = None, **examples: Any) -> Json:
    """The content of one media type, with examples by name; binary content has no schema."""
    named = {"examples": {name: {"value": value} for name, value in examples.items()}}
    return {**({} if schema is None else {"schema": schema}), **(named if examples else {})}


def body(content: Mapping[str, Json]) -> Json:
    """A required request body, by media type."""
    return {"required": True, "content": dict(content)}


def answer(description: str, content: Mapping[str, Json], **more: Any) -> Json:
    """A response by media type."""
    return {"description": description, "content": dict(content), **more}


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    ok: Json,
    *errors: int,
    description: str = "",
    scope: str | None = None,
    **more: Any,
) -> Json:
    """An operation: its answer when all is well, the statuses of its errors, the scope that opens it."""
    refusals = {str(status): refusal(status) for status in sorted({*errors, 405})}
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        **({"description": description} if description else {}),
        **({SCOPE: scope} if scope else {}),
        **more,
        "responses": {"200": ok, **refusals},
    }


def refusal(status: int) -> Json:
    """The response of an error's status."""
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def path_parameter(name: str, description: str, **more: Any) -> Json:
    """A parameter that is part of the path; ``more`` is its schema or content, and examples."""
    return {"name": name, "in": "path", "required": True, "description": description, **more}
