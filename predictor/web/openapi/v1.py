"""KServe's V1 protocol."""

from typing import Any

from predictor.model.artifact import LinearModel
from predictor.web.openapi.build import (
    JSON,
    WITH_BODY,
    Json,
    answer,
    array,
    body,
    media,
    operation,
    record,
    ref,
)
from predictor.web.openapi.shapes import Examples

TAG = "KServe V1"


def schemas(model: LinearModel) -> dict[str, Json]:
    """The schemas of this protocol; some are shared with V2."""
    number: Json = {"type": "number"}
    text: Json = {"type": "string"}
    return {
        "V1Request": record({"instances": ref("Instances")}, description="Other members are not read."),
        "Explanation": record(
            {
                "prediction": ref("Prediction"),
                "intercept": number,
                "contributions": record({feature.name: number for feature in model.features}),
            },
            description="The contributions, added up in order, and then the intercept, are the prediction.",
        ),
        "ExplainResponse": record({"explanations": array(ref("Explanation"), minItems=1)}),
        "ModelList": record({"models": array(text)}),
        "ModelReady": record({"name": text, "ready": {"const": True}}),
    }


def paths(model: LinearModel, examples: Examples, name: str, parameter: Json) -> dict[str, Json]:
    """The paths of this protocol, for the model ``name`` and its examples."""
    request = body({JSON: media(ref("V1Request"), rows={"instances": examples.rows})})
    predictions = media(ref("BatchResponse"), predictions={"predictions": examples.predictions})
    explanations = media(ref("ExplainResponse"), explanations={"explanations": _explain(model, examples)})
    models = answer("Their names.", {JSON: media(ref("ModelList"), models={"models": [name]})})
    ready = answer("It is.", {JSON: media(ref("ModelReady"), ready={"name": name, "ready": True})})
    return {
        "/v1/models": {"get": operation("v1Models", TAG, "List the models", models)},
        "/v1/models/{model}": {
            "parameters": [parameter],
            "get": operation("v1Ready", TAG, "Whether the model is ready", ready, 404, 503),
        },
        "/v1/models/{model}:predict": {
            "parameters": [parameter],
            "post": operation(
                "v1Predict",
                TAG,
                "Predict rows",
                answer("A prediction for each row, in order.", {JSON: predictions}),
                *(404, *WITH_BODY),
                scope="predict",
                requestBody=request,
            ),
        },
        "/v1/models/{model}:explain": {
            "parameters": [parameter],
            "post": operation(
                "v1Explain",
                TAG,
                "What each feature contributes",
                answer("For each row its prediction, and the parts of it.", {JSON: explanations}),
                *(404, *WITH_BODY),
                scope="explain",
                requestBody=request,
            ),
        },
    }


def _explain(model: LinearModel, examples: Examples) -> list[dict[str, Any]]:
    names = [feature.name for feature in model.features]
    return [
        {
            "prediction": prediction,
            "intercept": model.intercept,
            "contributions": dict(zip(names, amounts, strict=True)),
        }
        for prediction, amounts in zip(examples.predictions, examples.contributions, strict=True)
    ]
