"""Health, readiness and metadata of the server and its model."""

from dataclasses import asdict
from importlib import metadata as packages

from predictor.codecs import tensors
from predictor.messages import TEXT, Request, Response
from predictor.service.inference import InferenceService

EXTENSIONS = ("binary_tensor_data",)


def ping(_request: Request) -> Response:
    """Answer ``GET /ping``: the process is alive, whether or not a model is loaded."""
    return Response(b"pong", content_type=TEXT)


def live(_request: Request) -> Response:
    """Answer ``GET /v2/health/live``."""
    return Response.of({"live": True})


def ready(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v2/health/ready``.

    Raises:
        Unavailable: no model is loaded, or the server is shutting down.
    """
    service.handle.require_ready()
    return Response.of({"ready": True})


def model_ready(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v1/models/M`` and ``GET /v2/models/M/ready``.

    Raises:
        Unavailable: no model is loaded, or the server is shutting down.
    """
    service.handle.require_ready()
    return Response.of({"name": service.handle.name, "ready": True})


def models(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v1/models`` and ``GET /v2/models`` with the names of the models."""
    return Response.of({"models": [service.handle.name]})


def server(_request: Request) -> Response:
    """Answer ``GET /v2`` with the server's name, version and extensions of the protocol."""
    version = packages.version("linear-regressor")
    return Response.of({"name": tensors.PLATFORM, "version": version, "extensions": EXTENSIONS})


def metadata(service: InferenceService, _request: Request) -> Response:
    """Answer ``GET /v2/models/M`` with tensors, versions, the features, and where the model comes from.

    Raises:
        Unavailable: no model is loaded.
    """
    handle = service.handle
    loaded = handle.require()
    found = tensors.model_metadata(loaded.model.inputs, handle.name, handle.version)
    if loaded.provenance:
        found["parameters"]["provenance"] = {**asdict(loaded.provenance), "signed": loaded.signed}
    return Response.of(found)
