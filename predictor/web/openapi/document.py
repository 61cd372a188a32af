"""The whole document, put together of its parts."""

from predictor.model.artifact import LinearModel
from predictor.web.openapi import admin, feedback, native, v1, v2
from predictor.web.openapi.build import ERRORS, JSON, Json, answer, media, path_parameter, record, ref
from predictor.web.openapi.security import SCHEMES, Auth, secure
from predictor.web.openapi.shapes import STAND_IN, Examples
from predictor.web.openapi.shapes import schemas as model_schemas
from predictor.web.page import index

TAGS = {
    native.PREDICT: "The short way to a prediction.",
    v1.TAG: "The first protocol of KServe.",
    v2.TAG: "KServe's V2, the protocol that KServe, Triton and others share. The same is served by gRPC.",
    native.ABOUT: "What is served, and how it is.",
    admin.TAG: "Only with the admin token, or a credential of the scope admin.",
}


def document(
    model: LinearModel | None,
    *,
    name: str,
    version: str | None,
    auth: Auth = "off",
    has_feedback: bool = False,
) -> Json:
    """Describe every endpoint for ``model``, with examples it has answered itself.

    Args:
        model: what is served; without one, the shapes are those of y = x, and the description says so.
        name: the model's name in the URLs.
        version: its version, if it has one.
        auth: whether a prediction needs a credential.
        has_feedback: whether predictions are recorded, and ground truth can be sent.

    Returns:
        An OpenAPI 3.1 document, made for JSON.
    """
    known = model or STAND_IN
    examples = Examples.of(known)
    about = index(model, name=name, version=version, digest=None)
    parameter = path_parameter("model", "The model's name.", schema={"type": "string", "enum": [name]})
    paths = {
        **native.paths(known, examples, about),
        **(feedback.paths() if has_feedback else {}),
        **v1.paths(known, examples, name, parameter),
        **v2.paths(known, examples, name, version, parameter),
        **admin.paths(name, version, parameter),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version or "0", "description": _description(model)},
        "servers": [{"url": "."}],
        "tags": [{"name": tag, "description": text} for tag, text in TAGS.items()],
        "paths": secure(paths, auth),
        "components": {
            "schemas": {
                "Error": record({"error": {"type": "string", "description": "What was wrong, and where."}}),
                **model_schemas(known),
                **native.schemas(),
                **v1.schemas(known),
                **v2.schemas(known),
                **admin.schemas(),
            },
            "responses": {key: answer(text, {JSON: media(ref("Error"))}) for key, text in ERRORS.values()},
            "securitySchemes": SCHEMES,
        },
    }


def _description(model: LinearModel | None) -> str:
    if model is None:
        return "No model is loaded: shapes and examples are those of y = x until one is."
    count = len(model.features)
    return f"A weighted sum of {count} feature{'s' * (count > 1)} and an intercept, for {model.target.name}."
