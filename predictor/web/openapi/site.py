"""The site: the page, the documents, and metrics."""

from collections.abc import Mapping

from predictor.web.openapi.build import (
    HTML,
    INTEGER,
    JSON,
    NULLABLE_STRING,
    NUMBER,
    STRING,
    TEXT,
    Json,
    array,
    media,
    operation,
    record,
    ref,
    response,
)

TAG = "Documentation and metrics"


def schemas() -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    column = record(
        {"name": STRING, "unit": NULLABLE_STRING, "minimum": NUMBER, "maximum": NUMBER},
        description="A column, with its unit if it has one, and its range in the training data.",
    )
    described = record(
        {
            "name": STRING,
            "type": {"enum": ["number", "boolean", "category"]},
            "unit": NULLABLE_STRING,
            "optional": {"type": "boolean", "description": "Whether null is accepted for it."},
            "minimum": NUMBER,
            "maximum": NUMBER,
            "categories": array(STRING, minItems=1),
        },
        optional=["minimum", "maximum", "categories"],
        description="An input: a number with its range in the training data, a boolean or a category.",
    )
    index = {
        "status": {"const": "alive"},
        "name": STRING,
        "version": NULLABLE_STRING,
        "digest": {**NULLABLE_STRING, "description": "SHA-256 of the model folder."},
        "ready": {"type": "boolean"},
        "features": array(ref("Input")),
        "target": {"oneOf": [ref("Column"), {"type": "null"}]},
        "links": {"type": "object", "additionalProperties": STRING},
    }
    return {"Column": column, "Input": described, "Index": record(index), **_drift_schemas()}


def _drift_schemas() -> dict[str, Json]:
    count: Json = {"type": ["integer", "null"], "minimum": 0}
    drifting = record(
        {
            "name": STRING,
            "index": {**NUMBER, "description": "The population stability index."},
            "rows": {**NUMBER, "description": "Rows of the sample."},
            "effective_rows": {**NUMBER, "description": "Independent rows that tell as much."},
            "requests": INTEGER,
            "moved": {
                "type": ["boolean", "null"],
                "description": "Whether it is large and beyond chance; null with too few rows.",
            },
            "outside": {**count, "description": "Numbers outside the training range."},
            "unknown": {**count, "description": "Categories that the model does not know."},
            "missing": {**count, "description": "Numbers equal to what replaces a missing value."},
            "edges": array(NUMBER),
            "reference": array(NUMBER, description="The share of the training rows in each bin."),
            "sample": array(NUMBER, description="The share of the sample in each bin."),
        },
        description="What the sample tells about an input, or about the predictions.",
    )
    drift = record(
        {
            "model": STRING,
            "version": NULLABLE_STRING,
            "window_seconds": {**NUMBER, "minimum": 0},
            "threshold": NUMBER,
            "fewest_rows": INTEGER,
            "columns": array(ref("DriftColumn")),
        }
    )
    return {"Drift": drift, "DriftColumn": drifting}


def paths(index: Mapping[str, object]) -> dict[str, Json]:
    """Return the paths of these endpoints; ``index`` is an example of ``GET /`` as JSON."""

    def get(name: str, summary: str, description: str, content: Mapping[str, Json]) -> Json:
        found = response("As described.", content)
        return {"get": operation(name, TAG, summary, found, description=description)}

    page = {JSON: media(ref("Index"), index=index), HTML: media(STRING)}
    return {
        "/": get("index", "Describe the model", "A page for browsers, JSON for other clients.", page),
        "/docs": get("docs", "This document as a page", "The API reference.", {HTML: media(STRING)}),
        "/openapi.json": get("openapi", "This document", "OpenAPI 3.1.", {JSON: media({"type": "object"})}),
        "/metrics": get("metrics", "Metrics", "Prometheus' text format.", {TEXT: media(STRING)}),
        "/drift": get(
            "drift",
            "Drift",
            "How a sample of the last requests differs from the training data.",
            {JSON: media(ref("Drift"))},
        ),
    }
