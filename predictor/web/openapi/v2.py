"""The Open Inference Protocol (KServe's V2): ``/infer``."""

from collections.abc import Mapping

from predictor.codecs import tensors
from predictor.web.openapi.build import BINARY, Json, array, content, one_of, operation, record, schema
from predictor.web.openapi.shapes import Subject, values_of

TAG = "Open Inference Protocol"
ABOUT = "KServe's V2 protocol, shared with Triton and others. gRPC offers the same."
_LENGTH: Json = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "The length of the JSON at the start of the body. The raw tensors follow it in order,"
    " little-endian.",
    "schema": schema("integer"),
}


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of this protocol."""
    width, inputs = len(subject.names), subject.model.inputs
    parameters: Json = {"type": "object", "additionalProperties": True}
    values = array(values_of(inputs), minItems=1)
    each = "a tensor of shape [n] or [n, 1] for each feature, with its name"
    whole = (
        f"Either a single tensor of shape [n, {width}] with any name, such as `{tensors.INPUT}`, or {each}."
    )
    if any(one.type == "category" for one in inputs):
        whole = f"{each.capitalize()}. Categories are of the type {tensors.BYTES}, or whole numbers."
    sent = {
        "name": "string",
        "shape": array(schema("integer", minimum=0), minItems=1, maxItems=2),
        "datatype": {"enum": [*tensors.TYPES, *([] if inputs.plain else [tensors.BYTES])]},
        "parameters": parameters,
        "data": values if width == 1 else one_of(values, array("Row", minItems=1)),
    }
    request = {
        "id": "string",
        "parameters": parameters,
        "inputs": array("InputTensor", minItems=1),
        "outputs": array("RequestedOutput", maxItems=1),
    }
    output = {
        "name": "string",
        "shape": array("integer"),
        "datatype": {"const": "FP64"},
        "parameters": parameters,
        "data": array("Prediction"),
    }
    response = {
        "model_name": "string",
        "model_version": "string",
        "id": "string",
        "outputs": array("OutputTensor", length=1),
    }
    predicted = f"The predictions. The name is the requested one, or `{tensors.OUTPUT}`."
    return {
        "InputTensor": record(sent, optional=["parameters", "data"], description=whole),
        "RequestedOutput": record({"name": "string", "parameters": parameters}, optional=["parameters"]),
        "InferRequest": record(request, optional=["id", "parameters", "outputs"]),
        "OutputTensor": record(output, optional=["parameters", "data"], description=predicted),
        "InferResponse": record(response, optional=["model_version", "id"]),
    }


def with_versions(operations: Mapping[str, Json]) -> dict[str, Json]:
    """Return operations by the path of a model, and the same ones by the path of a version of it."""
    found: dict[str, Json] = {}
    for path, one in operations.items():
        versioned = path.replace("{model}", "{model}/versions/{version}")
        found |= {path: one, versioned: {**one, "operationId": f"{one['operationId']}Version"}}
    return found


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of this protocol, with and without a version."""
    rows, described = len(subject.rows), tensors.metadata(subject.model.inputs)
    each = [subject.values] if subject.model.plain else list(zip(*subject.rows, strict=True))
    sent = [
        {**one, "shape": [rows, *one["shape"][1:]], "data": list(data)}
        for one, data in zip(described, each, strict=True)
    ]
    output = {"name": tensors.OUTPUT, "shape": [rows], "datatype": "FP64", "data": subject.predictions}
    version = {"model_version": subject.version} if subject.version else {}
    answer = {"model_name": subject.name, **version, "outputs": [output]}
    infer = operation(
        TAG,
        "v2Infer",
        "Predict tensors",
        "The tensor of predictions.",
        content("InferResponse", tensor=answer) | content("bytes", BINARY),
        404,
        description="JSON, or JSON followed by binary tensors: then each tensor has the parameter"
        f" `binary_data_size` instead of `data`, and the header {_LENGTH['name']} is set.",
        parameters=[_LENGTH],
        scope="predict",
        body=content("InferRequest", tensor={"inputs": sent}) | content("bytes", BINARY),
    )
    paths = with_versions({"/v2/models/{model}/infer": infer})
    return {path: {"post": found} for path, found in paths.items()}
