"""The feedback endpoint: ground truth for earlier predictions."""

from predictor.feedback.recorder import LAST_ROW, MAX_LABELS, MAX_PRINCIPAL
from predictor.web.openapi.build import (
    BODY_ERRORS,
    INTEGER,
    JSON,
    NUMBER,
    Json,
    array,
    body,
    media,
    operation,
    record,
    ref,
    response,
)

TAG = "Feedback"
_ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9._:/+=@-]{1,128}$"}
_ROW: Json = {"type": "integer", "minimum": 0, "maximum": LAST_ROW, "default": 0}
_PRINCIPAL: Json = {"type": "string", "minLength": 1, "maxLength": MAX_PRINCIPAL}


def schemas() -> dict[str, Json]:
    """Return the schemas of the endpoint."""
    labels = array({"oneOf": [ref("Label"), ref("RowLabels")]}, minItems=1, maxItems=MAX_LABELS)
    return {
        "Label": _label("target", NUMBER, "The true value of one row."),
        "RowLabels": _label("targets", array(NUMBER, minItems=1), "The true values of successive rows."),
        "LabelList": record({"feedback": labels}, additionalProperties=False),
        "FeedbackResponse": record({"stored": INTEGER}),
    }


def _label(name: str, schema: Json, description: str) -> Json:
    properties = {"id": _ID, "row": _ROW, "principal": _PRINCIPAL, name: schema}
    optional = ["row", "principal"]
    return record(properties, optional=optional, description=description, additionalProperties=False)


def paths() -> dict[str, Json]:
    """Return the path, for a server that records feedback."""
    forms = [ref("Label"), ref("RowLabels"), ref("LabelList")]
    labels = {"feedback": [{"id": "order-17", "target": 151.0}, {"id": "order-18", "targets": [75.0, 141.0]}]}
    return {
        "/feedback": {
            "post": operation(
                "feedback",
                TAG,
                "Send ground truth",
                response(
                    "The number of labelled rows. They are stored.",
                    {JSON: media(ref("FeedbackResponse"), stored={"stored": 3})},
                ),
                *BODY_ERRORS,
                description="The true values of rows that this server predicted. `id` is the X-Request-Id of"
                " that response, which is the request's own id if it had one. `row` is the index of the first"
                " labelled row in that request. If a row is labelled more than once, the last label counts."
                " A credential labels what was predicted with it. With the scope `feedback:all` it labels all"
                " predictions, or those of the `principal` that the label names.",
                scope="feedback",
                requestBody=body({JSON: media({"oneOf": forms}, labels=labels)}),
            )
        }
    }
