"""Credentials: the security schemes, and which operations need one."""

from predictor.settings import AuthMode
from predictor.web.openapi.build import SCOPE, Json, error_response

SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The admin token, an API key or a JSON Web Token.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def secure(operation: Json, auth: AuthMode) -> Json:
    """Add the security requirements: for administration always, for other scopes by the mode ``auth``."""
    scope = operation.get(SCOPE)
    if scope is None or (auth == "off" and scope != "admin"):
        return operation
    # The description names the scope: for these schemes linters allow none in the requirement.
    requirements: list[Json] = [{scheme: []} for scheme in SCHEMES]
    if auth == "optional" and scope != "admin":
        requirements.append({})
    # Without an administrator the paths of administration do not exist.
    refusals = (401, 403, 404) if scope == "admin" else (401, 403)
    responses = operation["responses"] | {str(status): error_response(status) for status in refusals}
    return operation | {
        "description": f"{operation['description']} A credential needs the scope `{scope}`.",
        "security": requirements,
        "responses": dict(sorted(responses.items())),
    }
