"""What schemathesis can't learn from the OpenAPI document; ``schemathesis.toml`` has it loaded."""

from typing import Any
from urllib.parse import unquote

import schemathesis

LARGE = 1e290
"""Numbers beyond it may have predictions that no double can hold; a schema can't say which."""

OTHERS = (
    "application/x-ndjson",
    "application/vnd.apache.arrow.stream",
    "application/octet-stream",
    "text/csv",
)


@schemathesis.serializer(*OTHERS)
def raw(_context: Any, value: Any) -> bytes:
    """Send a body as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out what is valid by its schema and yet means nothing, for reasons that a schema can't hold."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return case.media_type not in OTHERS
    if case.media_type in OTHERS or case.path.endswith("/infer"):
        return _is_example(case)
    if "{instance" in case.path:
        return _is_example_in_path(case)
    return not _has_large(case.body) and not _is_ragged(case.body)


def _is_example_in_path(case: Any) -> bool:
    """Whether the rows in the path are the document's own: its schema says only that they are text."""
    examples = [
        example["value"]
        for parameter in case.operation.definition.raw["parameters"]
        for example in parameter["examples"].values()
    ]
    return {unquote(str(value)) for value in case.path_parameters.values()} <= set(examples)


def _is_example(case: Any) -> bool:
    """Whether the body is the document's own: in others a tensor's data seldom have the size of its shape."""
    content = case.operation.definition.raw["requestBody"]["content"].get(case.media_type, {})
    examples = [example["value"] for example in content.get("examples", {}).values()]
    return case.body in examples and "Inference-Header-Content-Length" not in (case.headers or {})


def _is_ragged(body: Any) -> bool:
    """Whether a V1 request has columns of different lengths."""
    columns = body.get("inputs") if isinstance(body, dict) else None
    lists = (
        [column for column in columns.values() if isinstance(column, list)]
        if isinstance(columns, dict)
        else []
    )
    return len(set(map(len, lists))) > 1


def _has_large(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large, value.values()))
    if isinstance(value, list):
        return any(map(_has_large, value))
    return isinstance(value, int | float) and abs(value) > LARGE
