"""Health, readiness and metadata."""

from functools import partial

from predictor.codecs import tensors
from predictor.model.provenance import TEXTS
from predictor.web.openapi.build import TEXT, Json, array, content, operation, record, schema
from predictor.web.openapi.shapes import Subject
from predictor.web.openapi.v2 import with_versions

TAG = "Health and metadata"
ABOUT = "For probes and clients."
_ALIVE = "The answer is the same whether or not a model is loaded."
_READY = "503 if no model is loaded, with the reason, and while the server is shutting down."


def schemas(_subject: Subject) -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    model = {
        "name": "string",
        "versions": array("string"),
        "platform": "string",
        "inputs": array("TensorMetadata"),
        "outputs": array("TensorMetadata"),
        "parameters": "ModelParameters",
    }
    provenance = {
        **dict.fromkeys(TEXTS, "string"),
        "promoted": "boolean",
        "reasons": array("string"),
        "signed": schema("boolean", description="Whether the signature was verified by this server."),
    }
    parameters = {"features": array("string"), "provenance": "Provenance"}
    origin = "Where a registered model comes from. A text that is not known is empty."
    return {
        "ModelList": record({"models": array("string")}),
        "ModelReady": record({"name": "string", "ready": "true"}),
        "ServerLive": record({"live": "true"}),
        "ServerReady": record({"ready": "true"}),
        "ServerMetadata": record({"name": "string", "version": "string", "extensions": array("string")}),
        "TensorMetadata": record({"name": "string", "datatype": "string", "shape": array("integer")}),
        "ModelMetadata": record(model),
        "ModelParameters": record(parameters, optional=["provenance"]),
        "Provenance": record(provenance, description=origin),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints."""
    get = partial(operation, TAG)
    live, ready = content("ServerLive", live={"live": True}), content("ServerReady", ready={"ready": True})
    pong = content(schema("string", const="pong"), TEXT, pong="pong")
    about, names = content("ServerMetadata"), content("ModelList", models={"models": [subject.name]})
    list_models = ("List the models", "Their names.", names)
    model_ready = content("ModelReady", ready={"name": subject.name, "ready": True})
    is_ready = ("Is the model ready?", "Yes.", model_ready, 404, 503)
    metadata = tensors.model_metadata(subject.model.inputs, subject.name, subject.version)
    model = get(
        "v2Model",
        "Describe the model",
        "Versions, tensors and features.",
        content("ModelMetadata", metadata=metadata),
        *(404, 503),
        description="The features are those of the input tensor, in their order.",
    )
    described = {
        "/ping": get("ping", "Is the process alive?", "Yes.", pong, description=_ALIVE),
        "/v2": get(
            "v2Server",
            "Describe the server",
            "Name, version and protocol extensions.",
            about,
            description="Also without a model.",
        ),
        "/v2/health/live": get("v2Live", "Is the server alive?", "Yes.", live, description=_ALIVE),
        "/v2/health/ready": get("v2Ready", "Is the server ready?", "Yes.", ready, 503, description=_READY),
        "/v1/models": get("v1Models", *list_models, description="This server has one model."),
        "/v1/models/{model}": get("v1Ready", *is_ready, description=_READY),
        "/v2/models": get("v2Models", *list_models, description="This server has one model."),
        **with_versions(
            {
                "/v2/models/{model}": model,
                "/v2/models/{model}/ready": get("v2ModelReady", *is_ready, description=_READY),
            }
        ),
    }
    return {path: {"get": found} for path, found in described.items()}
