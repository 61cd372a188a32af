"""Puts the document together from its groups of endpoints."""

import re

from predictor.model.handle import LoadedModel
from predictor.settings import AuthMode
from predictor.web.openapi import feedback, health, native, repository, shapes, site, v1, v2
from predictor.web.openapi.build import ERRORS, Json, content, record, schema
from predictor.web.openapi.security import SCHEMES, secure

_NO_MODEL = "No model is loaded. Until one is, shapes and examples are those of y = x."
_NAMES = re.compile(r"{(\w+)}")
"""The names of parameters in a path."""
_GROUPS = (native, feedback, v1, v2, health, site, repository)
"""The groups of endpoints; each has a tag, what that is about, schemas and paths."""


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
    subject = shapes.Subject(loaded, name, version)
    groups = [group for group in _GROUPS if has_feedback or group is not feedback]
    schemas = {"ErrorResponse": record({"error": schema("string", description="What is wrong, and where.")})}
    schemas |= shapes.schemas(subject)
    paths: dict[str, Json] = {}
    for group in groups:
        schemas |= group.schemas(subject)
        paths |= group.paths(subject)
    known = {one["name"]: one for one in (*subject.parameters, *native.parameters(subject))}
    for path, item in paths.items():
        in_path = [known[name] for name in _NAMES.findall(path)]
        for method, one in item.items():
            item[method] = secure({**one, "parameters": [*in_path, *one.get("parameters", ())]}, auth)
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
        "tags": [{"name": group.TAG, "description": group.ABOUT} for group in groups],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {key: {"description": text, "content": error} for key, text in ERRORS.values()},
            "securitySchemes": SCHEMES,
        },
    }
