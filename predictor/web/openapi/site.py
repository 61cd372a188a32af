"""The site: the page, the documents, and metrics."""

from predictor.observability.drift import UNUSUAL
from predictor.web.openapi.build import HTML, TEXT, Json, array, content, one_of, operation, record, schema
from predictor.web.openapi.shapes import Subject

TAG = "Documentation and metrics"
ABOUT = "For people and Prometheus."


def schemas(_subject: Subject) -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    column = {"name": "string", "unit": "string?", "minimum": "number", "maximum": "number"}
    described = {
        "name": "string",
        "type": {"enum": ["number", "boolean", "category"]},
        "unit": "string?",
        "optional": schema("boolean", description="Whether null is accepted for it."),
        "minimum": "number",
        "maximum": "number",
        "categories": array("string", minItems=1),
    }
    index = {
        "status": {"const": "alive"},
        "name": "string",
        "version": "string?",
        "digest": schema("string?", description="SHA-256 of the model folder."),
        "ready": "boolean",
        "features": array("Input"),
        "target": one_of("Column", {"type": "null"}),
        "links": {"type": "object", "additionalProperties": schema("string")},
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
        "name": "string",
        "index": schema("number", description="The population stability index."),
        "rows": schema("number", description="Rows of the sample."),
        "effective_rows": schema("number", description="Independent rows that tell as much."),
        "requests": "integer",
        "moved": {"type": ["boolean", "null"], "description": moved},
        **{kind: schema(count, description=text) for kind, text in UNUSUAL.items()},
        "edges": array("number"),
        "reference": array("number", description="The share of the training rows in each bin."),
        "sample": array("number", description="The share of the sample in each bin."),
    }
    drift = {
        "model": "string",
        "version": "string?",
        "window_seconds": schema("number", minimum=0),
        "threshold": "number",
        "fewest_rows": "integer",
        "columns": array("DriftColumn"),
    }
    about = "What the sample tells about an input, or about the predictions."
    return {"Drift": record(drift), "DriftColumn": record(column, description=about)}


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints."""

    def get(name: str, summary: str, description: str, answered: Json) -> Json:
        return {"get": operation(TAG, name, summary, "As described.", answered, description=description)}

    sample = "How a sample of the last requests differs from the training data."
    page = content("string", HTML)
    root, document = content("Index", index=subject.index) | page, content({"type": "object"})
    return {
        "/": get("index", "Describe the model", "A page for browsers, JSON for other clients.", root),
        "/docs": get("docs", "This document as a page", "The API reference.", page),
        "/openapi.json": get("openapi", "This document", "OpenAPI 3.1.", document),
        "/metrics": get("metrics", "Metrics", "Prometheus' text format.", content("string", TEXT)),
        "/drift": get("drift", "Drift", sample, content("Drift")),
    }
