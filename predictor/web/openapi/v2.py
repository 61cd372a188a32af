"""The Open Inference Protocol (KServe's V2): ``/infer``."""

from predictor.codecs import tensors
from predictor.web.openapi.build import (
    BINARY,
    BODY_ERRORS,
    BYTES,
    INTEGER,
    JSON,
    STRING,
    Json,
    array,
    body,
    media,
    operation,
    path_parameter,
    record,
    ref,
    response,
)
from predictor.web.openapi.shapes import Subject, values_of

TAG = "Open Inference Protocol"
_SHAPE = array(INTEGER)
_PARAMETERS: Json = {"type": "object", "additionalProperties": True}
_LENGTH: Json = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "The length of the JSON at the start of the body. The raw tensors follow it in order,"
    " little-endian.",
    "schema": INTEGER,
}


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of this protocol."""
    width, inputs = len(subject.names), subject.model.inputs
    sizes = array({**INTEGER, "minimum": 0}, minItems=1, maxItems=2)
    element = values_of(inputs)
    data = (
        array(element, minItems=1)
        if width == 1
        else {"oneOf": [array(element, minItems=1), array(ref("Row"), minItems=1)]}
    )
    each = "a tensor of shape [n] or [n, 1] for each feature, with its name"
    whole = (
        f"Either a single tensor of shape [n, {width}] with any name, such as `{tensors.INPUT}`, or {each}."
    )
    if any(one.type == "category" for one in inputs):
        whole = f"{each.capitalize()}. Categories are of the type {tensors.BYTES}, or whole numbers."
    return {
        "InputTensor": record(
            {
                "name": STRING,
                "shape": sizes,
                "datatype": {"enum": [*tensors.TYPES, *([] if inputs.plain else [tensors.BYTES])]},
                "parameters": _PARAMETERS,
                "data": data,
            },
            optional=["parameters", "data"],
            description=whole,
        ),
        "RequestedOutput": record({"name": STRING, "parameters": _PARAMETERS}, optional=["parameters"]),
        "InferRequest": record(
            {
                "id": STRING,
                "parameters": _PARAMETERS,
                "inputs": array(ref("InputTensor"), minItems=1),
                "outputs": array(ref("RequestedOutput"), maxItems=1),
            },
            optional=["id", "parameters", "outputs"],
        ),
        "OutputTensor": record(
            {
                "name": STRING,
                "shape": _SHAPE,
                "datatype": {"const": "FP64"},
                "parameters": _PARAMETERS,
                "data": array(ref("Prediction")),
            },
            optional=["parameters", "data"],
            description=f"The predictions. The name is the requested one, or `{tensors.OUTPUT}`.",
        ),
        "InferResponse": record(
            {
                "model_name": STRING,
                "model_version": STRING,
                "id": STRING,
                "outputs": array(ref("OutputTensor"), length=1),
            },
            optional=["model_version", "id"],
        ),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of this protocol, with and without a version."""
    infer = "/v2/models/{model}/infer"
    versioned = "/v2/models/{model}/versions/{version}/infer"
    return {
        infer: {
            "parameters": [subject.parameter],
            "post": _infer(subject, "v2Infer", "Predict tensors"),
        },
        versioned: {
            "parameters": [subject.parameter, version_parameter(subject)],
            "post": _infer(subject, "v2InferVersion", "Predict tensors with a version of the model"),
        },
    }


def version_parameter(subject: Subject) -> Json:
    """Return the version as a parameter of a path."""
    known = {"enum": [subject.version]} if subject.version else {}
    return path_parameter("version", "The model's version.", schema={**STRING, **known})


def _infer(subject: Subject, operation_id: str, summary: str) -> Json:
    rows, described = len(subject.rows), tensors.metadata(subject.model.inputs)
    each = [subject.values] if subject.model.plain else list(zip(*subject.rows, strict=True))
    sent = [
        {**one, "shape": [rows, *one["shape"][1:]], "data": list(data)}
        for one, data in zip(described, each, strict=True)
    ]
    output = {"name": tensors.OUTPUT, "shape": [rows], "datatype": "FP64", "data": subject.predictions}
    version = {"model_version": subject.version} if subject.version else {}
    answer = {"model_name": subject.name, **version, "outputs": [output]}
    request = {JSON: media(ref("InferRequest"), tensor={"inputs": sent}), BINARY: media(BYTES)}
    return operation(
        operation_id,
        TAG,
        summary,
        response(
            "The tensor of predictions.",
            {JSON: media(ref("InferResponse"), tensor=answer), BINARY: media(BYTES)},
        ),
        *(404, *BODY_ERRORS),
        description="JSON, or JSON followed by binary tensors: then each tensor has the parameter"
        f" `binary_data_size` instead of `data`, and the header {_LENGTH['name']} is set.",
        parameters=[_LENGTH],
        scope="predict",
        requestBody=body(request),
    )
