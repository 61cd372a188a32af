"""The predictor's own endpoints: a row, a batch, and what a browser or a monitor asks for."""

import json
from collections.abc import Mapping

from predictor.model.artifact import LinearModel
from predictor.web.openapi.build import (
    ARROW,
    CSV,
    HTML,
    JSON,
    NDJSON,
    STRING,
    TEXT,
    WITH_BODY,
    Json,
    answer,
    array,
    body,
    media,
    operation,
    path_parameter,
    record,
    ref,
)
from predictor.web.openapi.shapes import Examples

PREDICT, ABOUT = "Predict", "About"
_COLUMN = record(
    {
        "name": {"type": "string"},
        "unit": {"type": ["string", "null"]},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
    },
    description="A column, with its unit if it has one and the range seen in training.",
)


def schemas() -> dict[str, Json]:
    """The schemas that only these endpoints need."""
    nullable_text: Json = {"type": ["string", "null"]}
    return {
        "Column": _COLUMN,
        "Index": record(
            {
                "status": {"const": "alive"},
                "name": {"type": "string"},
                "version": nullable_text,
                "digest": {**nullable_text, "description": "SHA-256 of the model folder."},
                "ready": {"type": "boolean"},
                "features": array(ref("Column")),
                "target": {"anyOf": [ref("Column"), {"type": "null"}]},
                "links": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        ),
        "StreamRequest": record({"instance": ref("Instance")}, additionalProperties=False),
        "StreamResponse": record({"prediction": ref("Prediction")}),
        "BatchRequest": record({"instances": ref("Instances")}, additionalProperties=False),
        "BatchResponse": record({"predictions": array(ref("Prediction"), minItems=1)}),
    }


def paths(model: LinearModel, examples: Examples, index: Mapping[str, object]) -> dict[str, Json]:
    """The paths of these endpoints, for a model, its examples, and what ``GET /`` answers a client."""
    return _prediction(model, examples) | _about(index)


def _prediction(model: LinearModel, examples: Examples) -> dict[str, Json]:
    names = [feature.name for feature in model.features]
    csv = _csv(names, examples.rows)
    lines = "".join(json.dumps({"instance": row}) + "\n" for row in examples.rows)
    one = {"prediction": examples.predictions[0]}
    many = {"predictions": examples.predictions}
    predicted = answer("The prediction.", {JSON: media(ref("StreamResponse"), prediction=one)})
    several = answer(
        "A prediction for each row, in order.", {JSON: media(ref("BatchResponse"), predictions=many)}
    )
    return {
        "/stream": {
            "post": operation(
                "predictOne",
                PREDICT,
                "Predict one row, or a stream of rows",
                answer(
                    "The prediction, or one a line.",
                    {
                        JSON: media(ref("StreamResponse"), prediction=one),
                        NDJSON: media(
                            STRING,
                            predictions="".join(f'{{"prediction":{y!r}}}\n' for y in examples.predictions),
                        ),
                    },
                ),
                *WITH_BODY,
                description="As JSON, one row and its prediction. As NDJSON, a record a line, each answered"
                " by a line as soon as it has arrived, however long the connection lasts.",
                scope="predict",
                requestBody=body(
                    {
                        JSON: media(ref("StreamRequest"), row={"instance": examples.instance}),
                        NDJSON: media(STRING, records=lines),
                    }
                ),
            )
        },
        "/stream/{instance}": {
            "get": operation(
                "predictOneByPath",
                PREDICT,
                "Predict one row given in the path",
                predicted,
                *(400, 431, 503),
                scope="predict",
                parameters=[
                    path_parameter(
                        "instance",
                        f"A row as JSON: {'a number, or ' if len(names) == 1 else ''}a list of {len(names)}.",
                        content={JSON: media(ref("Instance"), row=examples.instance)},
                    )
                ],
            )
        },
        "/batch": {
            "post": operation(
                "predictMany",
                PREDICT,
                "Predict many rows at once",
                answer(
                    "A prediction for each row, in order, in the type that Accept says, or that was sent.",
                    {
                        JSON: media(ref("BatchResponse"), predictions=many),
                        CSV: media(
                            STRING,
                            predictions="\r\n".join(["prediction", *map(repr, examples.predictions), ""]),
                        ),
                        ARROW: media(),
                    },
                ),
                *WITH_BODY,
                406,
                description="As JSON, as CSV with a header that names the features, or as an Arrow stream.",
                scope="predict",
                requestBody=body(
                    {
                        JSON: media(ref("BatchRequest"), rows={"instances": examples.rows}),
                        CSV: media(STRING, rows=csv),
                        ARROW: media(),
                    }
                ),
            )
        },
        "/batch/{instances}": {
            "get": operation(
                "predictManyByPath",
                PREDICT,
                "Predict rows given in the path",
                several,
                *(400, 431, 503),
                scope="predict",
                parameters=[
                    path_parameter(
                        "instances",
                        "Rows as a JSON list.",
                        content={JSON: media(ref("Instances"), rows=_rows_by_path(examples))},
                    )
                ],
            )
        },
    }


def _about(index: Mapping[str, object]) -> dict[str, Json]:
    return {
        "/": {
            "get": operation(
                "index",
                ABOUT,
                "What is served here",
                answer(
                    "A page on which to try the model for a browser, JSON for a client.",
                    {JSON: media(ref("Index"), index=index), HTML: media(STRING)},
                ),
            )
        },
        "/ping": {
            "get": operation(
                "ping",
                ABOUT,
                "Whether the process answers, whatever the model's state",
                answer("It does.", {TEXT: media({"type": "string", "const": "pong"}, pong="pong")}),
            )
        },
        "/metrics": {
            "get": operation(
                "metrics",
                ABOUT,
                "Metrics for Prometheus",
                answer("The text format of Prometheus.", {TEXT: media(STRING)}),
            )
        },
        "/openapi.json": {
            "get": operation(
                "openapi", ABOUT, "This document", answer("OpenAPI 3.1.", {JSON: media({"type": "object"})})
            )
        },
        "/docs": {
            "get": operation(
                "docs",
                ABOUT,
                "This document as a page",
                answer("The API reference.", {HTML: media(STRING)}),
            )
        },
    }


def _rows_by_path(examples: Examples) -> list[float] | list[list[float]]:
    return examples.flat if len(examples.rows[0]) == 1 else examples.rows


def _csv(header: list[str], rows: list[list[float]]) -> str:
    quoted = [
        f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set(',"\r\n') else name for name in header
    ]
    return "".join(
        f"{','.join(line)}\n" for line in [quoted, *([repr(value) for value in row] for row in rows)]
    )
