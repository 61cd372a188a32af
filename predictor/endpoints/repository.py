"""The model repository API of the Open Inference Protocol, for administrators."""

from predictor.errors import Unavailable
from predictor.messages import Request, Response
from predictor.service.inference import InferenceService


def index(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/index``."""
    handle = service.handle
    state = "READY" if handle.ready else "UNAVAILABLE"
    found = {"name": handle.name, "version": handle.version, "state": state, "reason": handle.reason}
    return Response.of([found])


def load(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/models/M/load``: read the model folder again.

    Raises:
        Unavailable: the folder could not be loaded; a model that was loaded before keeps serving.
    """
    handle = service.handle
    if not handle.load():
        raise Unavailable(f"model {handle.name} could not be loaded: {handle.error}", retry_after=5)
    return Response.of({"name": handle.name, "load": True})


def unload(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/models/M/unload``."""
    service.handle.unload()
    return Response.of({"name": service.handle.name, "unload": True})
