"""Who may ask for what: the credentials that the document names, and the operations that need one."""

from typing import Any, Literal

from predictor.web.openapi.build import SCOPE, Json, refusal

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
    """Ask for a credential where the predictor does: for administration, and for predictions by ``auth``."""
    return {
        path: {key: _secure(value, auth) if key != "parameters" else value for key, value in item.items()}
        for path, item in paths.items()
    }


def _secure(operation: Json, auth: Auth) -> Json:
    scope = operation.get(SCOPE)
    if scope is None or (auth == "off" and scope != "admin"):
        return operation
    needed: list[dict[str, Any]] = [{scheme: [scope]} for scheme in SCHEMES]
    if auth == "optional" and scope != "admin":
        needed.append({})
    responses = operation["responses"] | {str(status): refusal(status) for status in (401, 403)}
    return operation | {"security": needed, "responses": dict(sorted(responses.items()))}
