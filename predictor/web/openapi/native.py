"""The native endpoints: a row, a stream of rows, and a batch."""

import csv
import io
import json
from collections.abc import Sequence
from functools import partial

from predictor.web.openapi.build import (
    ARROW,
    CSV,
    NDJSON,
    Json,
    array,
    content,
    operation,
    path_parameter,
    record,
    schema,
)
from predictor.web.openapi.shapes import Subject, Value

TAG = "Predict"
ABOUT = "The native API."


def schemas(_subject: Subject) -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    one = {"prediction": "Prediction", "interval": "Interval"}
    many = {"predictions": array("Prediction", minItems=1), "intervals": array("Interval", minItems=1)}
    return {
        "StreamRequest": record({"instance": "Instance"}, additionalProperties=False),
        "StreamResponse": record(one, optional=["interval"]),
        "BatchRequest": record({"instances": "Instances"}, additionalProperties=False),
        "BatchResponse": record(many, optional=["intervals"]),
        "Interval": array("number", length=2, description="Its lower and upper end."),
    }


def parameters(subject: Subject) -> list[Json]:
    """Return the parameters in these paths: a row, and several."""
    width, noun = len(subject.names), "number" if subject.model.plain else "value"
    form = f"a list of {width} {noun}s" if width > 1 else f"a {noun}, or a list of one"
    row = {"row": {"value": _compact(subject.instance)}}
    rows = {"rows": {"value": _compact(subject.values if width == 1 else subject.rows)}}
    about = f"A row as JSON: {form}, or an object by feature name."
    return [
        path_parameter("instance", about, "string", examples=row),
        path_parameter("instances", "Rows as a JSON list.", "string", examples=rows),
    ]


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints, with intervals if rows were held out."""
    predict = partial(operation, TAG, scope="predict", parameters=_interval_parameters(subject.held_out_rows))
    get = partial(predict, description="The same as POST, for a browser or a quick try.")
    prediction = content("StreamResponse", prediction={"prediction": subject.predictions[0]})
    predictions = content("BatchResponse", predictions={"predictions": subject.predictions})
    records = "".join(json.dumps({"instance": row}) + "\n" for row in subject.rows)
    lines = "".join(f'{{"prediction":{value!r}}}\n' for value in subject.predictions)
    table = _csv(subject.names, subject.rows)
    column = _csv(["prediction"], [[value] for value in subject.predictions], "\r\n")
    stream = predict(
        "predictOne",
        "Predict one row, or a stream of rows",
        "The prediction; for NDJSON one per line.",
        prediction | content("string", NDJSON, predictions=lines),
        description="JSON has one row. NDJSON has a record per line: each is answered with a line as"
        " soon as it arrives, for as long as the connection is open.",
        body=content("StreamRequest", row={"instance": subject.instance})
        | content("string", NDJSON, records=records),
    )
    batch = predict(
        "predictMany",
        "Predict many rows",
        "A prediction for each row, in order. The type is that of Accept, or of the body.",
        predictions | content("string", CSV, predictions=column) | content("bytes", ARROW),
        406,
        description="The body is JSON, CSV with a header of feature names, or an Arrow IPC stream.",
        body=content("BatchRequest", rows={"instances": subject.rows})
        | content("string", CSV, rows=table)
        | content("bytes", ARROW),
    )
    by_path = ("Predict the row in the path", "The prediction.", prediction, 400, 431, 503)
    many_by_path = (
        "Predict the rows in the path",
        "A prediction for each row, in order.",
        predictions,
        *(400, 431, 503),
    )
    return {
        "/stream": {"post": stream},
        "/stream/{instance}": {"get": get("predictOneByPath", *by_path)},
        "/batch": {"post": batch},
        "/batch/{instances}": {"get": get("predictManyByPath", *many_by_path)},
    }


def _interval_parameters(rows: int) -> list[Json]:
    """Return the parameter that asks for intervals; none if no rows were held out to know them from."""
    if not rows:
        return []
    largest = rows / (rows + 1)
    about = "The probability with which an interval around each prediction holds the actual value."
    interval = {
        "name": "interval",
        "in": "query",
        "description": about,
        "schema": schema("number", exclusiveMinimum=0, maximum=largest),
        "example": min(0.9, largest),
    }
    return [interval]


def _compact(value: object) -> str:
    """Return JSON for a path."""
    return json.dumps(value, separators=(",", ":"))


def _csv(header: list[str], rows: Sequence[Sequence[Value]], line_end: str = "\n") -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator=line_end).writerows([header, *rows])
    return file.getvalue()
