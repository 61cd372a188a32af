"""The Open Inference Protocol, which KServe calls V2."""

from typing import Any

from predictor.codecs import tensors
from predictor.model.artifact import LinearModel
from predictor.web.openapi.build import (
    JSON,
    OCTETS,
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

TAG = "Open Inference Protocol"
_TEXT: Json = {"type": "string"}
_SHAPE = array({"type": "integer"})
_PARAMETERS: Json = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_LENGTH = "Inference-Header-Content-Length"
_LENGTH_TEXT = (
    "Bytes of JSON at the beginning of the body; the raw tensors follow it in order, little-endian."
)


def schemas(model: LinearModel) -> dict[str, Json]:
    """The schemas of this protocol."""
    width = len(model.features)
    data = (
        {"anyOf": [array({"type": "number"}), array(ref("Row"))]} if width > 1 else array({"type": "number"})
    )
    sizes = array({"type": "integer", "minimum": 0}, minItems=1, maxItems=2)
    return {
        "ServerMetadata": record({"name": _TEXT, "version": _TEXT, "extensions": array(_TEXT)}),
        "Tensor": record({"name": _TEXT, "datatype": _TEXT, "shape": _SHAPE}),
        "ModelMetadata": record(
            {
                "name": _TEXT,
                "versions": array(_TEXT),
                "platform": _TEXT,
                "inputs": array(ref("Tensor")),
                "outputs": array(ref("Tensor")),
                "parameters": record({"features": array(_TEXT)}),
            }
        ),
        "InputTensor": record(
            {
                "name": {"enum": [tensors.INPUT, *(feature.name for feature in model.features)]},
                "shape": sizes,
                "datatype": {"enum": list(tensors.TYPES)},
                "parameters": _PARAMETERS,
                "data": data,
            },
            optional=["parameters", "data"],
            description=f"One, {tensors.INPUT}, of shape [n, {width}]; or one of shape [n] for each feature.",
        ),
        "InferRequest": record(
            {
                "id": _TEXT,
                "parameters": _PARAMETERS,
                "inputs": array(ref("InputTensor"), minItems=1),
                "outputs": array(
                    record(
                        {"name": {"const": tensors.OUTPUT}, "parameters": _PARAMETERS},
                        optional=["parameters"],
                    )
                ),
            },
            optional=["id", "parameters", "outputs"],
        ),
        "OutputTensor": record(
            {
                "name": {"const": tensors.OUTPUT},
                "shape": _SHAPE,
                "datatype": {"const": "FP64"},
                "parameters": _PARAMETERS,
                "data": array(ref("Prediction")),
            },
            optional=["parameters", "data"],
        ),
        "InferResponse": record(
            {
                "model_name": _TEXT,
                "model_version": _TEXT,
                "id": _TEXT,
                "outputs": array(ref("OutputTensor"), length=1),
            },
            optional=["model_version", "id"],
        ),
    }


def paths(
    model: LinearModel, examples: Examples, name: str, version: str | None, parameter: Json
) -> dict[str, Json]:
    """The paths of this protocol, for the model ``name`` and its examples, with and without a version."""
    known = {"enum": [version]} if version else {}
    versioned = path_parameter("version", "The model's version.", schema={"type": "string", **known})
    return {
        **_server(name),
        **_model(_Bodies(model, examples, name, version), "/v2/models/{model}", "", [parameter]),
        **_model(
            _Bodies(model, examples, name, version),
            "/v2/models/{model}/versions/{version}",
            "Version",
            [parameter, versioned],
        ),
    }


class _Bodies:
    """What goes to and comes from the endpoints of one model."""

    def __init__(self, model: LinearModel, examples: Examples, name: str, version: str | None) -> None:
        width, rows = len(model.features), len(examples.rows)
        self.ready = media(ref("ModelReady"), ready={"name": name, "ready": True})
        self.metadata = media(
            ref("ModelMetadata"),
            metadata={
                "name": name,
                "versions": [version] if version else [],
                "platform": "linear-regressor",
                "inputs": tensors.inputs(width),
                "outputs": tensors.outputs(),
                "parameters": {"features": [feature.name for feature in model.features]},
            },
        )
        tensor = {"name": tensors.INPUT, "shape": [rows, width], "datatype": "FP64", "data": examples.flat}
        self.request = media(ref("InferRequest"), tensor={"inputs": [tensor]})
        output = {"name": tensors.OUTPUT, "shape": [rows], "datatype": "FP64", "data": examples.predictions}
        label: dict[str, Any] = {"model_version": version} if version else {}
        self.response = media(ref("InferResponse"), tensor={"model_name": name, **label, "outputs": [output]})


def _server(name: str) -> dict[str, Json]:
    def yes(key: str) -> Json:
        return answer("Yes.", {JSON: media(record({key: {"const": True}}), **{key: {key: True}})})

    models = answer("Their names.", {JSON: media(ref("ModelList"), models={"models": [name]})})
    server = answer("Its name, version and extensions.", {JSON: media(ref("ServerMetadata"))})
    return {
        "/v2": {"get": operation("v2Server", TAG, "About the server", server)},
        "/v2/health/live": {"get": operation("v2Live", TAG, "Whether the server lives", yes("live"))},
        "/v2/health/ready": {
            "get": operation("v2Ready", TAG, "Whether the server is ready", yes("ready"), 503)
        },
        "/v2/models": {"get": operation("v2Models", TAG, "List the models", models)},
    }


def _model(bodies: _Bodies, path: str, suffix: str, parameters: list[Json]) -> dict[str, Json]:
    of_version = " of a version" if suffix else ""
    octets = media()
    return {
        path: {
            "parameters": parameters,
            "get": operation(
                f"v2Model{suffix}",
                TAG,
                f"Tensor names, types and shapes{of_version}",
                answer("The model's metadata.", {JSON: bodies.metadata}),
                *(404, 503),
            ),
        },
        f"{path}/ready": {
            "parameters": parameters,
            "get": operation(
                f"v2ModelReady{suffix}",
                TAG,
                f"Whether the model is ready{of_version}",
                answer("It is.", {JSON: bodies.ready}),
                *(404, 503),
            ),
        },
        f"{path}/infer": {
            "parameters": parameters,
            "post": operation(
                f"v2Infer{suffix}",
                TAG,
                f"Predict tensors{of_version}",
                answer("The tensor of predictions.", {JSON: bodies.response, OCTETS: octets}),
                *(404, *WITH_BODY),
                description="As JSON, or with binary tensors: then the JSON comes first, a tensor's parameter"
                f" binary_data_size stands in place of its data, and the header {_LENGTH} is set.",
                parameters=[
                    {
                        "name": _LENGTH,
                        "in": "header",
                        "description": _LENGTH_TEXT,
                        "schema": {"type": "integer"},
                    }
                ],
                scope="predict",
                requestBody=body({JSON: bodies.request, OCTETS: octets}),
            ),
        },
    }
