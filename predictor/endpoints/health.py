"""Health, readiness and metadata of the server and its model."""

from importlib import metadata as packages

from predictor.codecs import tensors
from predictor.messages import TEXT, Request, Response
from predictor.service.inference import InferenceService

PLATFORM = "linear-regressor"
EXTENSIONS = ("binary_tensor_data",)


def ping(_request: Request) -> Response:
    """Answer ``GET /ping``, whatever the state of the model."""
    return Response(b"pong", content_type=TEXT)


def live(_request: Request) -> Response:
    """Answer ``GET /v2/health/live``."""
    return Response.of({"live": True})


def ready(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v2/health/ready``: 503 with the reason while new requests should not come."""
    service.handle.require_ready()
    return Response.of({"ready": True})


def model_ready(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v1/models/M`` and ``GET /v2/models/M/ready``: 503 with the reason while not ready."""
    service.handle.require_ready()
    return Response.of({"name": service.handle.name, "ready": True})


def models(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v1/models`` and ``GET /v2/models``."""
    return Response.of({"models": [service.handle.name]})


def server(_request: Request) -> Response:
    """Answer ``GET /v2``."""
    return Response.of({"name": PLATFORM, "version": server_version(), "extensions": EXTENSIONS})


def server_version() -> str:
    """Return the version of this package."""
    return packages.version("linear-regressor")


def metadata(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v2/models/M`` with the tensors, the versions, and the features by name."""
    handle = service.handle
    scorer = handle.require().scorer
    return Response.of(
        {
            "name": handle.name,
            "versions": [handle.version] if handle.version else [],
            "platform": PLATFORM,
            "inputs": tensors.inputs(scorer.width),
            "outputs": tensors.outputs(),
            "parameters": {"features": scorer.names},
        }
    )
