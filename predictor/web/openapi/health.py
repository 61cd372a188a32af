"""Health, readiness and metadata."""

from predictor.codecs import tensors
from predictor.model.provenance import TEXTS
from predictor.web.openapi.build import (
    INTEGER,
    JSON,
    STRING,
    TEXT,
    TRUE,
    Json,
    array,
    media,
    operation,
    record,
    ref,
    response,
)
from predictor.web.openapi.shapes import Subject
from predictor.web.openapi.v2 import version_parameter

_BOOLEAN: Json = {"type": "boolean"}
TAG = "Health and metadata"
_ALIVE = "The answer is the same whether or not a model is loaded."
_READY = "503 if no model is loaded, with the reason, and while the server is shutting down."


def schemas() -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    return {
        "ModelList": record({"models": array(STRING)}),
        "ModelReady": record({"name": STRING, "ready": TRUE}),
        "ServerLive": record({"live": TRUE}),
        "ServerReady": record({"ready": TRUE}),
        "ServerMetadata": record({"name": STRING, "version": STRING, "extensions": array(STRING)}),
        "TensorMetadata": record({"name": STRING, "datatype": STRING, "shape": array(INTEGER)}),
        "ModelMetadata": record(
            {
                "name": STRING,
                "versions": array(STRING),
                "platform": STRING,
                "inputs": array(ref("TensorMetadata")),
                "outputs": array(ref("TensorMetadata")),
                "parameters": ref("ModelParameters"),
            }
        ),
        "ModelParameters": record(
            {"features": array(STRING), "provenance": ref("Provenance")}, optional=("provenance",)
        ),
        "Provenance": record(
            {
                **dict.fromkeys(TEXTS, STRING),
                "promoted": _BOOLEAN,
                "reasons": array(STRING),
                "signed": {**_BOOLEAN, "description": "Whether the signature was verified by this server."},
            },
            description="Where a registered model comes from. A text that is not known is empty.",
        ),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints."""
    model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    versioned = [subject.parameter, version_parameter(subject)]
    metadata, ready = _metadata(subject), _ready(subject)
    return {
        **_server(),
        "/v1/models": {"get": _models("v1Models", subject)},
        "/v1/models/{model}": {"parameters": [subject.parameter], "get": {**ready, "operationId": "v1Ready"}},
        "/v2/models": {"get": _models("v2Models", subject)},
        model: {"parameters": [subject.parameter], "get": metadata},
        f"{model}/ready": {"parameters": [subject.parameter], "get": ready},
        version: {"parameters": versioned, "get": {**metadata, "operationId": "v2ModelVersion"}},
        f"{version}/ready": {"parameters": versioned, "get": {**ready, "operationId": "v2ModelReadyVersion"}},
    }


def _server() -> dict[str, Json]:
    live = response("Yes.", {JSON: media(ref("ServerLive"), live={"live": True})})
    ready = response("Yes.", {JSON: media(ref("ServerReady"), ready={"ready": True})})
    pong = media({**STRING, "const": "pong"}, pong="pong")
    about = response("Name, version and protocol extensions.", {JSON: media(ref("ServerMetadata"))})
    return {
        "/ping": {
            "get": operation(
                "ping", TAG, "Is the process alive?", response("Yes.", {TEXT: pong}), description=_ALIVE
            )
        },
        "/v2": {
            "get": operation(
                "v2Server", TAG, "Describe the server", about, description="Also without a model."
            )
        },
        "/v2/health/live": {
            "get": operation("v2Live", TAG, "Is the server alive?", live, description=_ALIVE)
        },
        "/v2/health/ready": {
            "get": operation("v2Ready", TAG, "Is the server ready?", ready, 503, description=_READY)
        },
    }


def _models(operation_id: str, subject: Subject) -> Json:
    names = media(ref("ModelList"), models={"models": [subject.name]})
    return operation(
        operation_id,
        TAG,
        "List the models",
        response("Their names.", {JSON: names}),
        description="This server has one model.",
    )


def _ready(subject: Subject) -> Json:
    example = media(ref("ModelReady"), ready={"name": subject.name, "ready": True})
    return operation(
        "v2ModelReady",
        TAG,
        "Is the model ready?",
        response("Yes.", {JSON: example}),
        *(404, 503),
        description=_READY,
    )


def _metadata(subject: Subject) -> Json:
    metadata = {
        "name": subject.name,
        "versions": [subject.version] if subject.version else [],
        "platform": "linear-regressor",
        "inputs": tensors.metadata(subject.model.inputs),
        "outputs": tensors.outputs(),
        "parameters": {"features": subject.names},
    }
    return operation(
        "v2Model",
        TAG,
        "Describe the model",
        response("Versions, tensors and features.", {JSON: media(ref("ModelMetadata"), metadata=metadata)}),
        *(404, 503),
        description="The features are those of the input tensor, in their order.",
    )
