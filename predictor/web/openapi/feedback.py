"""The feedback endpoint: ground truth for earlier predictions."""

from predictor.feedback.recorder import LAST_ROW, MAX_LABELS, MAX_PRINCIPAL
from predictor.web.openapi.build import Json, Schema, array, content, one_of, operation, record, schema
from predictor.web.openapi.shapes import Subject

TAG = "Feedback"
ABOUT = "Ground truth, for monitoring and the next training."


def schemas(_subject: Subject) -> dict[str, Json]:
    """Return the schemas of the endpoint."""
    labels = array(one_of("Label", "RowLabels"), minItems=1, maxItems=MAX_LABELS)
    return {
        "Label": _label("target", "number", "The true value of one row."),
        "RowLabels": _label("targets", array("number", minItems=1), "The true values of successive rows."),
        "LabelList": record({"feedback": labels}, additionalProperties=False),
        "StoredLabels": record({"stored": "integer"}),
    }


def _label(name: str, value: Schema, description: str) -> Json:
    optional: Json = {
        "row": schema("integer", minimum=0, maximum=LAST_ROW, default=0),
        "principal": {"type": "string", "minLength": 1, "maxLength": MAX_PRINCIPAL},
    }
    request = {"type": "string", "pattern": "^[A-Za-z0-9._:/+=@-]{1,128}$"}
    properties = {"id": request, **optional, name: value}
    return record(properties, optional=[*optional], description=description, additionalProperties=False)


def paths(_subject: Subject) -> dict[str, Json]:
    """Return the path, for a server that records feedback."""
    labels = {"feedback": [{"id": "order-17", "target": 151.0}, {"id": "order-18", "targets": [75.0, 141.0]}]}
    post = operation(
        TAG,
        "feedback",
        "Send ground truth",
        "The number of labelled rows. They are stored.",
        content("StoredLabels", stored={"stored": 3}),
        description="The true values of rows that this server predicted. `id` is the X-Request-Id of"
        " that response, which is the request's own id if it had one. `row` is the index of the first"
        " labelled row in that request. If a row is labelled more than once, the last label counts."
        " A credential labels what was predicted with it. With the scope `feedback:all` it labels all"
        " predictions, or those of the `principal` that the label names.",
        scope="feedback",
        body=content(one_of("Label", "RowLabels", "LabelList"), labels=labels),
    )
    return {"/feedback": {"post": post}}
