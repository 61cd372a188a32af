"""Puts the document together from its groups of endpoints."""

import re

from predictor.model.handle import LoadedModel
from predictor.settings import AuthMode
from predictor.web.openapi import feedback, health, native, repository, shapes, site, v1, v2
from predictor.web.openapi.build import ERRORS, Json, content, record, schema
from predictor.web.openapi.security import SCHEMES, secure
from predictor.web.page import index

_NO_MODEL = "No model is loaded. Until one is, shapes and examples are those of y = x."
_NAMES = re.compile(r"{(\w+)}")
"""The names of parameters in a path."""
_TAGS = {
    native.TAG: "The native API.",
    feedback.TAG: "Ground truth, for monitoring and the next training.",
    v1.TAG: "KServe's first protocol.",
    v2.TAG: "KServe's V2 protocol, shared with Triton and others. gRPC offers the same.",
    health.TAG: "For probes and clients.",
    site.TAG: "For people and Prometheus.",
    repository.TAG: "Needs the admin token, or a credential with the scope admin.",
}


def document(
    loaded: LoadedModel | None,
    *,
    name: str,
    version: str | None,
    auth: AuthMode = "off",
    has_feedback: bool = False,
) -> Json:
    """Describe every endpoint, with examples that the model computes.

    Args:
        loaded: the served model; without one, the model y = x is described.
        name: the model's name in the paths.
        version: its version, if it has one.
        auth: whether predictions need a credential.
        has_feedback: whether the server records feedback.

    Returns:
        An OpenAPI 3.1 document.
    """
    subject = shapes.Subject.of(loaded.model if loaded else shapes.PLACEHOLDER, name, version)
    evaluation = loaded.evaluation if loaded else None
    paths = {
        **native.paths(subject, evaluation.rows if evaluation else 0),
        **(feedback.paths() if has_feedback else {}),
        **v1.paths(subject),
        **v2.paths(subject),
        **health.paths(subject),
        **site.paths(index(loaded, name=name, version=version)),
        **repository.paths(subject),
    }
    known = {one["name"]: one for one in (*subject.parameters, *native.parameters(subject))}
    for path, item in paths.items():
        in_path = [known[name] for name in _NAMES.findall(path)]
        for method, one in item.items():
            item[method] = secure({**one, "parameters": [*in_path, *one.get("parameters", ())]}, auth)
    tags = [tag for tag in _TAGS if has_feedback or tag != feedback.TAG]
    error = content("ErrorResponse")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": version or "0",
            "description": loaded.model.summary() if loaded else _NO_MODEL,
            "contact": {"name": "The operators of this server"},
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "security": [],
        "tags": [{"name": tag, "description": _TAGS[tag]} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": {
                "ErrorResponse": record({"error": schema("string", description="What is wrong, and where.")}),
                **shapes.schemas(subject),
                **native.schemas(),
                **v1.schemas(subject),
                **v2.schemas(subject),
                **health.schemas(),
                **site.schemas(),
                **(feedback.schemas() if has_feedback else {}),
                **repository.schemas(),
            },
            "responses": {key: {"description": text, "content": error} for key, text in ERRORS.values()},
            "securitySchemes": SCHEMES,
        },
    }
