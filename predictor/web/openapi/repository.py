"""Administration: the model repository, the request log, and what is logged and traced."""

from functools import partial

from predictor.settings import LOG_LEVELS
from predictor.web.openapi.build import Json, array, content, operation, record, schema
from predictor.web.openapi.shapes import Subject

TAG = "Administration"
ABOUT = "Needs the admin token, or a credential with the scope admin."


def schemas(_subject: Subject) -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    ratio = schema("number", minimum=0, maximum=1)
    values = {"log_level": {"enum": [*LOG_LEVELS]}, "log_ratio": ratio, "trace_ratio": ratio}
    nullable_ratio = {"type": ["number", "null"], "description": "Null without tracing."}
    logged = {
        "time": schema("number", description="Seconds since 1970."),
        "method": "string",
        "path": "string",
        "status": "integer",
        "request": schema("string", description="The start of the body."),
        "response": schema("string", description="The start of the response."),
    }
    entry = {
        "name": "string",
        "version": "string?",
        "state": {"enum": ["READY", "UNAVAILABLE"]},
        "reason": schema("string", description="Why the model is not loaded."),
    }
    change = record(values, optional=[*values], additionalProperties=False, minProperties=1)
    return {
        "RequestLog": record({"requests": array("LoggedRequest")}),
        "EmptiedLog": record({"emptied": "integer"}),
        "ModelLoaded": record({"name": "string", "load": "true"}),
        "ModelUnloaded": record({"name": "string", "unload": "true"}),
        "LoggedRequest": record(logged),
        "Telemetry": record({**values, "trace_ratio": nullable_ratio}),
        "TelemetryChange": change,
        "RepositoryEntry": record(entry),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints."""
    about = "Answers 404 if the server has no administrator."
    administer = partial(operation, TAG, description=about, scope="admin")
    telemetry = content("Telemetry", telemetry={"log_level": "INFO", "log_ratio": 0.01, "trace_ratio": None})
    emptied = content("EmptiedLog", emptied={"emptied": 3})
    ready = {"name": subject.name, "version": subject.version, "state": "READY", "reason": ""}
    index = content(array("RepositoryEntry"), index=[ready])
    loaded = content("ModelLoaded", done={"name": subject.name, "load": True})
    unloaded = content("ModelUnloaded", done={"name": subject.name, "unload": True})
    gets = {
        "/log": administer("log", "Show the last requests", "The last request last.", content("RequestLog")),
        "/emptyLog": administer("emptyLog", "Empty the log", "How many requests it had.", emptied),
        "/telemetry": administer("telemetry", "Show what is logged and traced", "The values.", telemetry),
    }
    change = administer(
        "changeTelemetry",
        "Change what is logged and traced, until the process ends",
        "All values.",
        telemetry,
        409,
        body=content("TelemetryChange", change={"log_ratio": 1.0}),
    )
    model = "/v2/repository/models/{model}"
    posts = {
        "/v2/repository/index": administer(
            "repositoryIndex", "List the models with their state", "One entry.", index
        ),
        f"{model}/load": administer("repositoryLoad", "Read the model folder again", "Done.", loaded, 503),
        f"{model}/unload": administer("repositoryUnload", "Release the model", "Done.", unloaded, 503),
    }
    found = {path: {"get": one} for path, one in gets.items()}
    found["/telemetry"]["patch"] = change
    return found | {path: {"post": one} for path, one in posts.items()}
