"""Administration: the model repository, the request log, and what is logged and traced."""

from typing import Any

from predictor.web.openapi.build import (
    BODY_ERRORS,
    INTEGER,
    JSON,
    NULLABLE_STRING,
    NUMBER,
    STRING,
    TRUE,
    Json,
    array,
    body,
    media,
    operation,
    record,
    ref,
    response,
)
from predictor.web.openapi.shapes import Subject

TAG = "Administration"
_LEVEL: Json = {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]}
_RATIO: Json = {**NUMBER, "minimum": 0, "maximum": 1}
_NULLABLE_RATIO: Json = {"type": ["number", "null"], "description": "Null without tracing."}
_ADMIN = {"description": "Answers 404 if the server has no administrator.", "scope": "admin"}


def schemas() -> dict[str, Json]:
    """Return the schemas of these endpoints."""
    return {
        "RequestLog": record({"requests": array(ref("LoggedRequest"))}),
        "EmptiedLog": record({"emptied": INTEGER}),
        "ModelLoaded": record({"name": STRING, "load": TRUE}),
        "ModelUnloaded": record({"name": STRING, "unload": TRUE}),
        "LoggedRequest": record(
            {
                "time": {**NUMBER, "description": "Seconds since 1970."},
                "method": STRING,
                "path": STRING,
                "status": INTEGER,
                "request": {**STRING, "description": "The start of the body."},
                "response": {**STRING, "description": "The start of the response."},
            }
        ),
        "Telemetry": record({"log_level": _LEVEL, "log_ratio": _RATIO, "trace_ratio": _NULLABLE_RATIO}),
        "TelemetryChange": {
            **record(
                values := {"log_level": _LEVEL, "log_ratio": _RATIO, "trace_ratio": _RATIO},
                optional=tuple(values),
                additionalProperties=False,
            ),
            "minProperties": 1,
        },
        "RepositoryEntry": record(
            {
                "name": STRING,
                "version": NULLABLE_STRING,
                "state": {"enum": ["READY", "UNAVAILABLE"]},
                "reason": {**STRING, "description": "Why the model is not loaded."},
            }
        ),
    }


def paths(subject: Subject) -> dict[str, Json]:
    """Return the paths of these endpoints."""
    requests = media(ref("RequestLog"))
    emptied = media(ref("EmptiedLog"), emptied={"emptied": 3})
    values = {"log_level": "INFO", "log_ratio": 0.01, "trace_ratio": None}
    telemetry = media(ref("Telemetry"), telemetry=values)
    ready = {"name": subject.name, "version": subject.version, "state": "READY", "reason": ""}
    entries = media(array(ref("RepositoryEntry")), index=[ready])
    return {
        "/log": {"get": _operation("log", "Show the last requests", "The last request last.", requests)},
        "/emptyLog": {"get": _operation("emptyLog", "Empty the log", "How many requests it had.", emptied)},
        "/telemetry": {
            "get": _operation("telemetry", "Show what is logged and traced", "The values.", telemetry),
            "patch": _operation(
                "changeTelemetry",
                "Change what is logged and traced, until the process ends",
                "All values.",
                telemetry,
                *BODY_ERRORS,
                409,
                requestBody=body({JSON: media(ref("TelemetryChange"), change={"log_ratio": 1.0})}),
            ),
        },
        "/v2/repository/index": {
            "post": _operation("repositoryIndex", "List the models with their state", "One entry.", entries)
        },
        "/v2/repository/models/{model}/load": _change("load", "Read the model folder again", subject),
        "/v2/repository/models/{model}/unload": _change("unload", "Release the model", subject),
    }


def _operation(name: str, summary: str, description: str, content: Json, *errors: int, **more: Any) -> Json:
    success = response(description, {JSON: content})
    return operation(name, TAG, summary, success, 404, *errors, **_ADMIN, **more)


def _change(verb: str, summary: str, subject: Subject) -> Json:
    done = media(ref(f"Model{verb.capitalize()}ed"), done={"name": subject.name, verb: True})
    return {
        "parameters": [subject.parameter],
        "post": _operation(f"repository{verb.capitalize()}", summary, "Done.", done, 503),
    }
