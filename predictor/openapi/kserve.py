"""KServe's endpoints: the V1 protocol, and the Open Inference Protocol (V2)."""

from predictor.artifact import LinearModel
from predictor.openapi.build import (
    JSON,
    OCTETS,
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
from predictor.openapi.shapes import Examples

V1, V2 = "KServe V1", "Open Inference Protocol (V2)"
INPUT, OUTPUT = "instances", "predictions"
_TEXT: Json = {"type": "string"}
_SHAPE = array({"type": "integer"})
_PARAMETERS: Json = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def schemas(model: LinearModel) -> dict[str, Json]:
    """The schemas that only these endpoints need."""
    ready = {"name": _TEXT, "ready": {"type": "boolean"}}
    tensor = record({"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE})
    return {
        "V1Request": record({"instances": ref("Instances")}),
        "Explanation": record(
            {
                "prediction": ref("Prediction"),
                "intercept": {"type": "number"},
                "contributions": record({feature.name: {"type": "number"} for feature in model.features}),
            },
            description="The contributions and the intercept add up to the prediction.",
        ),
        "ExplainResponse": record({"explanations": array(ref("Explanation"), minItems=1)}),
        "ModelList": record({"models": array(_TEXT)}),
        "ModelReady": record(ready),
        "Tensor": tensor,
        "ServerMetadata": record({"name": _TEXT, "version": _TEXT, "extensions": array(_TEXT)}),
        "ModelMetadata": record(
            {
                "name": _TEXT,
                "versions": {"anyOf": [array(_TEXT), {"type": "null"}]},
                "platform": _TEXT,
                "inputs": array(ref("Tensor")),
                "outputs": array(ref("Tensor")),
            },
            optional=["versions"],
        ),
        "InferRequest": record(
            {
                "id": _TEXT,
                "parameters": _PARAMETERS,
                "inputs": array(
                    record(
                        {
                            "name": {**_TEXT, "const": INPUT},
                            "shape": _SHAPE,
                            "datatype": {"enum": ["FP64", "FP32", "INT64", "INT32"]},
                            "parameters": _PARAMETERS,
                            "data": array({}),
                        },
                        optional=["parameters", "data"],
                    ),
                    length=1,
                ),
                "outputs": array(record({"name": _TEXT, "parameters": _PARAMETERS}, optional=["parameters"])),
            },
            optional=["id", "parameters", "outputs"],
        ),
        "InferResponse": record(
            {
                "model_name": _TEXT,
                "model_version": {"type": ["string", "null"]},
                "id": _TEXT,
                "parameters": {"anyOf": [_PARAMETERS, {"type": "null"}]},
                "outputs": array(
                    record(
                        {
                            "name": {**_TEXT, "const": OUTPUT},
                            "shape": _SHAPE,
                            "datatype": {"const": "FP64"},
                            "parameters": {"anyOf": [_PARAMETERS, {"type": "null"}]},
                            "data": array({"type": "number"}),
                        },
                        optional=["parameters", "data"],
                    )
                ),
            },
            optional=["model_version", "parameters"],
        ),
    }


def paths(model: LinearModel, examples: Examples, *, name: str, version: str | None) -> dict[str, Json]:
    """The paths of both protocols, for the model ``name`` and its examples."""
    parameter = path_parameter(
        "model", "The model's name.", schema={"type": "string", "enum": [name]}, example=name
    )
    return _v1(model, examples, name, parameter) | _v2(model, examples, name, version, parameter)


def _v1(model: LinearModel, examples: Examples, name: str, parameter: Json) -> dict[str, Json]:
    request = body({JSON: media(ref("V1Request"), rows={"instances": examples.rows})})
    explanations = [
        {
            "prediction": prediction,
            "intercept": model.intercept,
            "contributions": {
                feature.name: amount for feature, amount in zip(model.features, amounts, strict=True)
            },
        }
        for prediction, amounts in zip(examples.predictions, examples.contributions, strict=True)
    ]
    return {
        "/v1/models": {
            "get": operation(
                "v1Models",
                V1,
                "List the models",
                answer("Their names.", {JSON: media(ref("ModelList"), models={"models": [name]})}),
            )
        },
        "/v1/models/{model}": {
            "parameters": [parameter],
            "get": operation(
                "v1Ready",
                V1,
                "Whether the model is ready",
                answer("It is.", {JSON: media(ref("ModelReady"), ready={"name": name, "ready": True})}),
                *(404, 503),
            ),
        },
        "/v1/models/{model}:predict": {
            "parameters": [parameter],
            "post": operation(
                "v1Predict",
                V1,
                "Predict rows",
                answer(
                    "A prediction for each row, in order.",
                    {JSON: media(ref("BatchResponse"), predictions={"predictions": examples.predictions})},
                ),
                *(400, 404, 413, 415, 503),
                requestBody=request,
            ),
        },
        "/v1/models/{model}:explain": {
            "parameters": [parameter],
            "post": operation(
                "v1Explain",
                V1,
                "What each feature contributes",
                answer(
                    "For each row its prediction, and what the intercept and each feature add to it.",
                    {JSON: media(ref("ExplainResponse"), explanations={"explanations": explanations})},
                ),
                *(400, 404, 413, 415, 503),
                requestBody=request,
            ),
        },
    }


def _v2(
    model: LinearModel, examples: Examples, name: str, version: str | None, parameter: Json
) -> dict[str, Json]:
    rows, width = len(examples.rows), len(model.features)
    metadata = {
        "name": name,
        "versions": [version] if version else None,
        "platform": "linear-regressor",
        "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, width]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}],
    }
    request = {"inputs": [{"name": INPUT, "shape": [rows, width], "datatype": "FP64", "data": examples.flat}]}
    response = {
        "model_name": name,
        "model_version": version,
        "id": "42",
        "outputs": [{"name": OUTPUT, "shape": [rows], "datatype": "FP64", "data": examples.predictions}],
    }
    return {
        "/v2": {
            "get": operation(
                "v2Server",
                V2,
                "About the server",
                answer("Its metadata.", {JSON: media(ref("ServerMetadata"))}),
            )
        },
        "/v2/health/live": {
            "get": operation(
                "v2Live",
                V2,
                "Whether the server lives",
                answer("It does.", {JSON: media(record({"live": {"type": "boolean"}}), live={"live": True})}),
            )
        },
        "/v2/health/ready": {
            "get": operation(
                "v2ServerReady",
                V2,
                "Whether the server is ready",
                answer(
                    "It is.", {JSON: media(record({"ready": {"type": "boolean"}}), ready={"ready": True})}
                ),
                503,
            )
        },
        "/v2/models": {
            "get": operation(
                "v2Models",
                V2,
                "List the models",
                answer("Their names.", {JSON: media(ref("ModelList"), models={"models": [name]})}),
            )
        },
        "/v2/models/{model}": {
            "parameters": [parameter],
            "get": operation(
                "v2Model",
                V2,
                "Tensor names, types and shapes",
                answer("The model's metadata.", {JSON: media(ref("ModelMetadata"), metadata=metadata)}),
                *(404, 503),
            ),
        },
        "/v2/models/{model}/ready": {
            "parameters": [parameter],
            "get": operation(
                "v2ModelReady",
                V2,
                "Whether the model is ready",
                answer("It is.", {JSON: media(ref("ModelReady"), ready={"name": name, "ready": True})}),
                *(404, 503),
            ),
        },
        "/v2/models/{model}/infer": {
            "parameters": [parameter],
            "post": operation(
                "v2Infer",
                V2,
                "Predict tensors",
                answer("The output tensor.", {JSON: media(ref("InferResponse"), tensor=response)}),
                *(400, 404, 413, 415, 503),
                requestBody=body(
                    {
                        JSON: media(ref("InferRequest"), tensor=request),
                        OCTETS: media({"type": "string", "contentMediaType": OCTETS}),
                    }
                ),
            ),
        },
    }
