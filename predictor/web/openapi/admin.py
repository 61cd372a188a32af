"""What only an administrator may ask for: the log of requests, and KServe's repository API."""

from predictor.web.openapi.build import JSON, Json, answer, array, media, operation, record, ref

TAG = "Administration"
_TEXT: Json = {"type": "string"}
_CLOSED = {"description": "Where no admin token is set, there is no such path.", "scope": "admin"}


def schemas() -> dict[str, Json]:
    """The schemas that only these endpoints need."""
    return {
        "LoggedRequest": record(
            {
                "time": {"type": "number", "description": "Seconds since 1970."},
                "method": _TEXT,
                "path": _TEXT,
                "status": {"type": "integer"},
                "request": {**_TEXT, "description": "How the body began."},
                "response": {**_TEXT, "description": "How the answer began."},
            }
        )
    }


def paths(name: str, version: str | None, parameter: Json) -> dict[str, Json]:
    """The paths of these endpoints, for the model ``name``."""
    shown = answer("The last request last.", {JSON: media(record({"requests": array(ref("LoggedRequest"))}))})
    emptied = media(record({"emptied": {"type": "integer"}}), emptied={"emptied": 3})
    state = record(
        {
            "name": _TEXT,
            "version": {"type": ["string", "null"]},
            "state": {"enum": ["READY", "UNAVAILABLE"]},
            "reason": _TEXT,
        }
    )
    ready = {"name": name, "version": version, "state": "READY", "reason": ""}
    return {
        "/log": {"get": operation("log", TAG, "The last requests", shown, 404, **_CLOSED)},
        "/emptyLog": {
            "get": operation(
                "emptyLog",
                TAG,
                "Empty the log of requests",
                answer("How many it held.", {JSON: emptied}),
                404,
                **_CLOSED,
            )
        },
        "/v2/repository/index": {
            "post": operation(
                "repositoryIndex",
                TAG,
                "The model, with its state and the reason for it",
                answer("One entry.", {JSON: media(array(state), index=[ready])}),
                404,
                **_CLOSED,
            )
        },
        "/v2/repository/models/{model}/load": _change("load", "Read the model folder again", name, parameter),
        "/v2/repository/models/{model}/unload": _change("unload", "Forget the model", name, parameter),
    }


def _change(verb: str, summary: str, name: str, parameter: Json) -> Json:
    done = record({"name": _TEXT, verb: {"const": True}})
    return {
        "parameters": [parameter],
        "post": operation(
            f"repository{verb.capitalize()}",
            TAG,
            summary,
            answer("Done.", {JSON: media(done, done={"name": name, verb: True})}),
            *(404, 503),
            **_CLOSED,
        ),
    }
