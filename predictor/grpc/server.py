"""KServe's gRPC service with our own interceptors: who may call what, honest status codes, counts."""

import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc import StatusCode
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as service_grpc
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from predictor.errors import PredictorError
from predictor.feedback.capture import capture_predictions
from predictor.kserve_compat.model import KSERVE_STATUS
from predictor.service.inference import Service
from predictor.tls import Tls

_INFER = "ModelInfer"
_SCOPES = {_INFER: "predict", "RepositoryModelLoad": "admin", "RepositoryModelUnload": "admin"}
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    413: StatusCode.RESOURCE_EXHAUSTED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
logger = logging.getLogger(__name__)


class Guard(grpc.aio.ServerInterceptor):
    """Admits calls, turns errors into status codes, and counts inferences."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wrap the method that is called."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            self._wrap(method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _wrap(self, method: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        scope = _SCOPES.get(method, "public")
        gate = self.service.gate
        series = self.service.metrics.series("grpc_infer") if method == _INFER else None

        async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = time.perf_counter()
            status = 200
            try:
                if gate.asks(scope):
                    metadata = context.invocation_metadata() or ()
                    gate.admit(scope, {name.encode(): _bytes(value) for name, value in metadata})
                if series and self.service.recorder:
                    return await self._watched(call, request, context)
                return await call(request, context)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a status
                status, message = _told(error)
                await context.abort(_CODES.get(status, StatusCode.INTERNAL), message)
            finally:
                if series:
                    series.observe(status, time.perf_counter() - started, 0)

        return guarded

    async def _watched(
        self,
        call: Callable[..., Awaitable[Any]],
        request: Any,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> Any:
        """Keep what is predicted; the client is told its id where the protocol has a place for it."""
        with capture_predictions() as seen:
            response = await call(request, context)
        if seen:
            response.id = self.service.remember(seen, request.id)
        return response


def make(
    service: Service,
    plane: DataPlane,
    extension: ModelRepositoryExtension,
    threads: int,
    longest: tuple[int, int],
) -> grpc.aio.Server:
    """KServe's gRPC service; ``longest`` are the longest messages sent and received, in bytes."""
    server = grpc.aio.server(
        ThreadPoolExecutor(threads),
        interceptors=(Guard(service),),
        options=[
            ("grpc.max_send_message_length", longest[0]),
            ("grpc.max_receive_message_length", longest[1]),
            ("grpc.so_reuseport", 0),
        ],
    )
    service_grpc.add_GRPCInferenceServiceServicer_to_server(InferenceServicer(plane, extension), server)
    return server


def listen(server: grpc.aio.Server, host: str, port: int, tls: Tls | None) -> int:
    """Bind the port, with the same certificates as HTTP where there are any; returns the port."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if tls:
        return server.add_secure_port(address, tls.for_grpc())
    return server.add_insecure_port(address)


def _told(error: Exception) -> tuple[int, str]:
    """The HTTP status that an error stands for, and what a client is told."""
    if isinstance(error, PredictorError):
        return error.status, str(error)
    for kind, status in KSERVE_STATUS.items():
        if isinstance(error, kind):
            return status, str(error)
    logger.error("a gRPC call could not be answered", exc_info=error)
    return 500, "internal error"


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
