"""KServe's model repository API, for administrators."""

from predictor.errors import Unavailable
from predictor.messages import Request, Response
from predictor.service.inference import InferenceService


def index(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/index`` with the state of the model."""
    handle = service.handle
    state = "READY" if handle.ready else "UNAVAILABLE"
    entry = {"name": handle.name, "version": handle.version, "state": state, "reason": handle.reason}
    return Response.of([entry])


def load(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/models/M/load``: read the model folder again.

    Raises:
        Unavailable: the folder can't be loaded. If a model was loaded before, it continues to serve.
    """
    handle = service.handle
    if not handle.load():
        raise Unavailable(f"could not load model {handle.name}: {handle.error}", retry_after=5)
    return Response.of({"name": handle.name, "load": True})


def unload(service: InferenceService, _request: Request) -> Response:
    """Answer ``POST /v2/repository/models/M/unload``: release the model."""
    service.handle.unload()
    return Response.of({"name": service.handle.name, "unload": True})
