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
    emptied = content("EmptiedLog", emptied={"emptied": 3})
    values = {"log_level": "INFO", "log_ratio": 0.01, "trace_ratio": None}
    telemetry = content("Telemetry", telemetry=values)
    ready = {"name": subject.name, "version": subject.version, "state": "READY", "reason": ""}
    index = content(array("RepositoryEntry"), index=[ready])
    change = administer(
        "changeTelemetry",
        "Change what is logged and traced, until the process ends",
        "All values.",
        telemetry,
        *(404, 409),
        body=content("TelemetryChange", change={"log_ratio": 1.0}),
    )

    def get(name: str, summary: str, answer: str, answered: Json) -> Json:
        return {"get": administer(name, summary, answer, answered, 404)}

    def post(name: str, summary: str, answer: str, answered: Json, *errors: int) -> Json:
        return {"post": administer(name, summary, answer, answered, 404, *errors)}

    loaded, unloaded = (
        content(f"Model{verb.capitalize()}ed", done={"name": subject.name, verb: True})
        for verb in ("load", "unload")
    )
    return {
        "/log": get("log", "Show the last requests", "The last request last.", content("RequestLog")),
        "/emptyLog": get("emptyLog", "Empty the log", "How many requests it had.", emptied),
        "/telemetry": get("telemetry", "Show what is logged and traced", "The values.", telemetry)
        | {"patch": change},
        "/v2/repository/index": post(
            "repositoryIndex", "List the models with their state", "One entry.", index
        ),
        "/v2/repository/models/{model}/load": post(
            "repositoryLoad", "Read the model folder again", "Done.", loaded, 503
        ),
        "/v2/repository/models/{model}/unload": post(
            "repositoryUnload", "Release the model", "Done.", unloaded, 503
        ),
    }
