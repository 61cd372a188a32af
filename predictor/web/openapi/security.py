"""Credentials: the security schemes, and which operations need one."""

from typing import Any, Literal

from predictor.web.openapi.build import SCOPE, Json, error_response

Auth = Literal["off", "optional", "required"]

SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The admin token, an API key or a JSON Web Token.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def secure(paths: dict[str, Json], auth: Auth) -> dict[str, Json]:
    """Add the security requirements: for administration always, for other scopes by the mode ``auth``."""
    return {
        path: {key: _secure(value, auth) if key != "parameters" else value for key, value in item.items()}
        for path, item in paths.items()
    }


def _secure(operation: Json, auth: Auth) -> Json:
    scope = operation.get(SCOPE)
    if scope is None or (auth == "off" and scope != "admin"):
        return operation
    # The description names the scope: for these schemes linters allow none in the requirement.
    requirements: list[dict[str, Any]] = [{scheme: []} for scheme in SCHEMES]
    if auth == "optional" and scope != "admin":
        requirements.append({})
    responses = operation["responses"] | {str(status): error_response(status) for status in (401, 403)}
    return operation | {
        "description": f"{operation['description']} A credential needs the scope `{scope}`.",
        "security": requirements,
        "responses": dict(sorted(responses.items())),
    }
