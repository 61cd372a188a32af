"""Which handler answers which method, beside ModelInfer the same functions as REST."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import orjson
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.endpoints import health, model_repository
from predictor.endpoints.routing import check_model
from predictor.grpc.health import HEALTH, INFERENCE, check
from predictor.grpc.message_templates import Templates
from predictor.grpc.tensor_contents import parse
from predictor.messages import Handler, Request, Response
from predictor.service.auth import Scope
from predictor.service.inference import InferenceService

_Handler = Callable[[InferenceService, Request], Response]


class Method(NamedTuple):
    """A method with one message each way.

    Attributes:
        endpoint: its name in metrics and logs.
        scope: what a credential must grant.
        handler: computes the response's message from the request's.
        reads: whether the handler needs the request's message.
        large: whether that can be long.
    """

    endpoint: str
    scope: Scope
    handler: Handler
    reads: bool = True
    large: bool = False


def methods(service: InferenceService) -> dict[str, dict[str, Method]]:
    """Return the methods of each gRPC service."""

    def method(endpoint: str, handler: _Handler, scope: Scope = "public", **reading: bool) -> Method:
        return Method(endpoint, scope, partial(handler, service), **reading)

    return {
        INFERENCE: {
            "ServerLive": method("health", _server_live, reads=False),
            "ServerReady": method("health", _server_ready, reads=False),
            "ModelReady": method("health", _model_ready),
            "ServerMetadata": method("metadata", _server_metadata, reads=False),
            "ModelMetadata": method("metadata", _model_metadata),
            "ModelInfer": Method("v2_infer", "predict", Templates(service).infer, large=True),
            "RepositoryModelLoad": method("repository", _load, "admin"),
            "RepositoryModelUnload": method("repository", _unload, "admin"),
        },
        HEALTH: {"Check": method("health", check)},
    }


def _server_live(_service: InferenceService, _request: Request) -> Response:
    return _message(pb.ServerLiveResponse(live=True))


def _server_ready(service: InferenceService, _request: Request) -> Response:
    return _message(pb.ServerReadyResponse(ready=service.handle.ready))


def _model_ready(service: InferenceService, request: Request) -> Response:
    message = parse(pb.ModelReadyRequest, request.body)
    check_model(service, message.name, message.version)
    return _message(pb.ModelReadyResponse(ready=service.handle.ready))


def _server_metadata(_service: InferenceService, request: Request) -> Response:
    return _message(pb.ServerMetadataResponse(**orjson.loads(health.server(request).body)))


def _model_metadata(service: InferenceService, request: Request) -> Response:
    message = parse(pb.ModelMetadataRequest, request.body)
    check_model(service, message.name, message.version)
    document = orjson.loads(health.metadata(service, request).body)
    del document["parameters"]  # the protocol has no place for them
    return _message(pb.ModelMetadataResponse(**document))


def _load(service: InferenceService, request: Request) -> Response:
    name = parse(pb.RepositoryModelLoadRequest, request.body).model_name
    check_model(service, name)
    model_repository.load(service, request)
    return _message(pb.RepositoryModelLoadResponse(model_name=name, isLoaded=True))


def _unload(service: InferenceService, request: Request) -> Response:
    name = parse(pb.RepositoryModelUnloadRequest, request.body).model_name
    check_model(service, name)
    model_repository.unload(service, request)
    return _message(pb.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True))


def _message(message: Any) -> Response:
    return Response(message.SerializeToString())
