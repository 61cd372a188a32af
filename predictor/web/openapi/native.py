"""The native endpoints: a row, a stream of rows, and a batch."""

import csv
import io
import json
from collections.abc import Sequence

from predictor.web.openapi.build import (
    ARROW,
    BODY_ERRORS,
    BYTES,
    CSV,
    JSON,
    NDJSON,
    NUMBER,
    STRING,
    Json,
    array,
    body,
    interval_parameters,
    media,
    operation,
    path_parameter,
    record,
    ref,
    response,
)
from predictor.web.openapi.shapes import Subject, Value

TAG = "Predict"


def schemas() -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    return {
        "StreamRequest": record({"instance": ref("Instance")}, additionalProperties=False),
        "StreamResponse": record(
            {"prediction": ref("Prediction"), "interval": ref("Interval")}, optional=["interval"]
        ),
        "BatchRequest": record({"instances": ref("Instances")}, additionalProperties=False),
        "BatchResponse": record(
            {
                "predictions": array(ref("Prediction"), minItems=1),
                "intervals": array(ref("Interval"), minItems=1),
            },
            optional=["intervals"],
        ),
        "Interval": array(NUMBER, minItems=2, maxItems=2, description="Its lower and upper end."),
    }


def paths(subject: Subject, held_out_rows: int) -> dict[str, Json]:
    """Return the paths of these endpoints, with intervals if rows were held out."""
    intervals = interval_parameters(held_out_rows)
    return _stream(subject, intervals) | _batch(subject, intervals)


def _stream(subject: Subject, intervals: list[Json]) -> dict[str, Json]:
    prediction = media(ref("StreamResponse"), prediction={"prediction": subject.predictions[0]})
    records = "".join(json.dumps({"instance": row}) + "\n" for row in subject.rows)
    predictions = "".join(f'{{"prediction":{value!r}}}\n' for value in subject.predictions)
    width = len(subject.names)
    noun = "number" if subject.model.plain else "value"
    form = f"a list of {width} {noun}s" if width > 1 else f"a {noun}, or a list of one"
    return {
        "/stream": {
            "post": operation(
                "predictOne",
                TAG,
                "Predict one row, or a stream of rows",
                response(
                    "The prediction; for NDJSON one per line.",
                    {JSON: prediction, NDJSON: media(STRING, predictions=predictions)},
                ),
                *BODY_ERRORS,
                description="JSON has one row. NDJSON has a record per line: each is answered with a line as"
                " soon as it arrives, for as long as the connection is open.",
                scope="predict",
                parameters=intervals,
                requestBody=body(
                    {
                        JSON: media(ref("StreamRequest"), row={"instance": subject.instance}),
                        NDJSON: media(STRING, records=records),
                    }
                ),
            )
        },
        "/stream/{instance}": {
            "get": operation(
                "predictOneByPath",
                TAG,
                "Predict the row in the path",
                response("The prediction.", {JSON: prediction}),
                *(400, 431, 503),
                description="The same as POST, for a browser or a quick try.",
                scope="predict",
                parameters=[
                    path_parameter(
                        "instance",
                        f"A row as JSON: {form}, or an object by feature name.",
                        schema=STRING,
                        examples={"row": {"value": _compact(subject.instance)}},
                    ),
                    *intervals,
                ],
            )
        },
    }


def _batch(subject: Subject, intervals: list[Json]) -> dict[str, Json]:
    predictions = media(ref("BatchResponse"), predictions={"predictions": subject.predictions})
    rows = _csv(subject.names, subject.rows)
    column = _csv(["prediction"], [[value] for value in subject.predictions], "\r\n")
    by_path = subject.values if len(subject.names) == 1 else subject.rows
    return {
        "/batch": {
            "post": operation(
                "predictMany",
                TAG,
                "Predict many rows",
                response(
                    "A prediction for each row, in order. The type is that of Accept, or of the body.",
                    {JSON: predictions, CSV: media(STRING, predictions=column), ARROW: media(BYTES)},
                ),
                *BODY_ERRORS,
                406,
                description="The body is JSON, CSV with a header of feature names, or an Arrow IPC stream.",
                scope="predict",
                parameters=intervals,
                requestBody=body(
                    {
                        JSON: media(ref("BatchRequest"), rows={"instances": subject.rows}),
                        CSV: media(STRING, rows=rows),
                        ARROW: media(BYTES),
                    }
                ),
            )
        },
        "/batch/{instances}": {
            "get": operation(
                "predictManyByPath",
                TAG,
                "Predict the rows in the path",
                response("A prediction for each row, in order.", {JSON: predictions}),
                *(400, 431, 503),
                description="The same as POST, for a browser or a quick try.",
                scope="predict",
                parameters=[
                    path_parameter(
                        "instances",
                        "Rows as a JSON list.",
                        schema=STRING,
                        examples={"rows": {"value": _compact(by_path)}},
                    ),
                    *intervals,
                ],
            )
        },
    }


def _compact(value: object) -> str:
    """Return JSON for a path."""
    return json.dumps(value, separators=(",", ":"))


def _csv(header: list[str], rows: Sequence[Sequence[Value]], line_end: str = "\n") -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator=line_end).writerows([header, *rows])
    return file.getvalue()
