"""KServe's V1 protocol: ``:predict`` and ``:explain``."""

from predictor.web.openapi.build import (
    BODY_ERRORS,
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
from predictor.web.openapi.shapes import Subject, value

TAG = "KServe V1"


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of this protocol; those of explanations only for a model that explains."""
    columns = record(
        {one.name: array(value(one), minItems=1) for one in subject.model.inputs},
        description="A list of values for each feature, all of the same length. Other members are ignored.",
    )
    return {
        "V1Request": {
            "oneOf": [ref("V1Instances"), ref("V1Inputs")],
            "description": "Other members are ignored.",
        },
        "V1Instances": record({"instances": ref("Instances")}),
        "V1Inputs": record({"inputs": {"oneOf": [ref("Instances"), ref("V1Columns")]}}),
        "V1Columns": columns,
        **(_explanation_schemas(subject) if subject.contributions else {}),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of this protocol; ``:explain`` only for a model that explains."""
    request = body({JSON: media(ref("V1Request"), rows={"instances": subject.rows})})
    predictions = media(ref("BatchResponse"), predictions={"predictions": subject.predictions})
    paths = {
        "/v1/models/{model}:predict": {
            "parameters": [subject.parameter],
            "post": operation(
                "v1Predict",
                TAG,
                "Predict rows",
                response("A prediction for each row, in order.", {JSON: predictions}),
                *(404, *BODY_ERRORS),
                description="A row is a list of values, or an object by feature name.",
                scope="predict",
                requestBody=request,
            ),
        },
    }
    if subject.contributions:
        examples = _explanations(subject, subject.contributions)
        explanations = media(ref("ExplainResponse"), explanations={"explanations": examples})
        paths["/v1/models/{model}:explain"] = {
            "parameters": [subject.parameter],
            "post": operation(
                "v1Explain",
                TAG,
                "Explain predictions",
                response(
                    "For each row its prediction, and the contribution of each feature.", {JSON: explanations}
                ),
                *(404, *BODY_ERRORS),
                description="A request may have a tenth of the rows that may be predicted at once.",
                scope="explain",
                requestBody=request,
            ),
        }
    return paths


def _explanation_schemas(subject: Subject) -> dict[str, Json]:
    return {
        "Explanation": record(
            {
                "prediction": ref("Prediction"),
                "intercept": NUMBER,
                "contributions": ref("Contributions"),
            },
            description="The contributions, added up in order, plus the intercept give the prediction.",
        ),
        "Contributions": record(dict.fromkeys(subject.names, NUMBER)),
        "ExplainResponse": record({"explanations": array(ref("Explanation"), minItems=1)}),
    }


def _explanations(subject: Subject, contributions: list[list[float]]) -> list[Json]:
    return [
        {
            "prediction": prediction,
            "intercept": subject.model.intercept,
            "contributions": dict(zip(subject.names, amounts, strict=True)),
        }
        for prediction, amounts in zip(subject.predictions, contributions, strict=True)
    ]
