"""The site: the page, the documents, and metrics."""

from collections.abc import Mapping

from predictor.web.openapi.build import (
    BOOLEAN,
    HTML,
    INTEGER,
    NULLABLE_STRING,
    NUMBER,
    STRING,
    TEXT,
    Json,
    array,
    content,
    one_of,
    operation,
    record,
)

TAG = "Documentation and metrics"


def schemas() -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    column = {"name": STRING, "unit": NULLABLE_STRING, "minimum": NUMBER, "maximum": NUMBER}
    described = {
        "name": STRING,
        "type": {"enum": ["number", "boolean", "category"]},
        "unit": NULLABLE_STRING,
        "optional": {**BOOLEAN, "description": "Whether null is accepted for it."},
        "minimum": NUMBER,
        "maximum": NUMBER,
        "categories": array(STRING, minItems=1),
    }
    index = {
        "status": {"const": "alive"},
        "name": STRING,
        "version": NULLABLE_STRING,
        "digest": {**NULLABLE_STRING, "description": "SHA-256 of the model folder."},
        "ready": BOOLEAN,
        "features": array("Input"),
        "target": one_of("Column", {"type": "null"}),
        "links": {"type": "object", "additionalProperties": STRING},
    }
    about_columns = "A column, with its unit if it has one, and its range in the training data."
    about_inputs = "An input: a number with its range in the training data, a boolean or a category."
    optional = ["minimum", "maximum", "categories"]
    return {
        "Column": record(column, description=about_columns),
        "Input": record(described, optional=optional, description=about_inputs),
        "Index": record(index),
        **_drift_schemas(),
    }


def _drift_schemas() -> dict[str, Json]:
    count: Json = {"type": ["integer", "null"], "minimum": 0}
    moved = "Whether it is large and beyond chance; null with too few rows."
    column = {
        "name": STRING,
        "index": {**NUMBER, "description": "The population stability index."},
        "rows": {**NUMBER, "description": "Rows of the sample."},
        "effective_rows": {**NUMBER, "description": "Independent rows that tell as much."},
        "requests": INTEGER,
        "moved": {"type": ["boolean", "null"], "description": moved},
        "outside": {**count, "description": "Numbers outside the training range."},
        "unknown": {**count, "description": "Categories that the model does not know."},
        "missing": {**count, "description": "Numbers equal to what replaces a missing value."},
        "edges": array(NUMBER),
        "reference": array(NUMBER, description="The share of the training rows in each bin."),
        "sample": array(NUMBER, description="The share of the sample in each bin."),
    }
    drift = {
        "model": STRING,
        "version": NULLABLE_STRING,
        "window_seconds": {**NUMBER, "minimum": 0},
        "threshold": NUMBER,
        "fewest_rows": INTEGER,
        "columns": array("DriftColumn"),
    }
    about = "What the sample tells about an input, or about the predictions."
    return {"Drift": record(drift), "DriftColumn": record(column, description=about)}


def paths(index: Mapping[str, object]) -> dict[str, Json]:
    """Return the paths of these endpoints; ``index`` is an example of ``GET /`` as JSON."""

    def get(name: str, summary: str, description: str, answered: Json) -> Json:
        return {"get": operation(TAG, name, summary, "As described.", answered, description=description)}

    page, sample = content(STRING, HTML), "How a sample of the last requests differs from the training data."
    root, document = content("Index", index=index) | page, content({"type": "object"})
    return {
        "/": get("index", "Describe the model", "A page for browsers, JSON for other clients.", root),
        "/docs": get("docs", "This document as a page", "The API reference.", page),
        "/openapi.json": get("openapi", "This document", "OpenAPI 3.1.", document),
        "/metrics": get("metrics", "Metrics", "Prometheus' text format.", content(STRING, TEXT)),
        "/drift": get("drift", "Drift", sample, content("Drift")),
    }
