"""What came true, for the next training."""

from predictor.feedback.recorder import LAST_ROW
from predictor.web.openapi.build import JSON, WITH_BODY, Json, answer, array, body, media, operation, record
from predictor.web.openapi.native import PREDICT

_ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9._:/+=@-]{1,128}$"}
_ROW: Json = {"type": "integer", "minimum": 0, "maximum": LAST_ROW, "default": 0}


def _told(name: str, schema: Json) -> Json:
    return record({"id": _ID, "row": _ROW, name: schema}, optional=["row"], additionalProperties=False)


_ONE = _told("target", {"type": "number"})
_MANY = _told("targets", array({"type": "number"}, minItems=1))


def paths() -> dict[str, Json]:
    """The path, where predictions are kept."""
    several = record(
        {"feedback": array({"oneOf": [_ONE, _MANY]}, minItems=1, maxItems=100_000)},
        additionalProperties=False,
    )
    told = {"feedback": [{"id": "order-17", "target": 151.0}, {"id": "order-18", "targets": [75.0, 141.0]}]}
    return {
        "/feedback": {
            "post": operation(
                "feedback",
                PREDICT,
                "Tell what came true",
                answer(
                    "It is stored: the number of rows.",
                    {JSON: media(record({"stored": {"type": "integer"}}), stored={"stored": 3})},
                ),
                *WITH_BODY,
                description="The true values for a request that was answered here, by the id in the answer's"
                " header x-request-id, which is the request's own where it had one; from the place `row` on,"
                " such as that of a record in a stream. The last word on a row counts.",
                scope="feedback",
                requestBody=body({JSON: media({"oneOf": [_ONE, _MANY, several]}, told=told)}),
            )
        }
    }
