"""grpc.health.v1: whether new requests should come, as kubelet and load balancers ask it."""

import asyncio
import contextlib

import grpc
from grpc_health.v1 import health_pb2
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.errors import NotFound, Overloaded, PredictorError
from predictor.grpc.slots import ReadSlots
from predictor.grpc.tensor_contents import parse
from predictor.identity import Identity
from predictor.messages import Request, Response
from predictor.service.inference import InferenceService

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
INFERENCE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_WATCH_SECONDS = 1.0
_MOST_WATCHES = 256


def check(service: InferenceService, request: Request) -> Response:
    """Answer Check.

    Raises:
        NotFound: the request names another service.
    """
    name = parse(health_pb2.HealthCheckRequest, request.body).service
    if name not in _names(service):
        raise NotFound(f"service {name[:80]} does not exist")
    return Response(_status(service, name))


class Watch:
    """Answers Watch: the status now, and again whenever it changes."""

    def __init__(self, service: InferenceService, slots: ReadSlots) -> None:
        self.service = service
        self.slots = slots
        self.count = 0

    async def answer(self, _messages: object, context: grpc.aio.ServicerContext) -> None:
        """Send the status until the client or the server ends."""
        self.count += 1
        status = 200
        try:
            if self.count > _MOST_WATCHES:
                raise Overloaded("too many clients watch the health of this server")
            message = await self.slots.read(context.read)
            await self._watch(parse(health_pb2.HealthCheckRequest, message or b"").service, context)
        except PredictorError as error:
            status = error.status
            self.service.count_refusal(error, "watch", "grpc", Identity.new())
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))
        finally:
            self.count -= 1
            self.service.metrics.series("watch", "grpc").observe(status, 0, 0)

    async def _watch(self, name: str, context: grpc.aio.ServicerContext) -> None:
        ending, sent = self.service.ending, b""
        while not ending.is_set():
            status = _status(self.service, name)
            if status != sent:
                await context.write(status)
            sent = status
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), _WATCH_SECONDS)


def _names(service: InferenceService) -> tuple[str, ...]:
    return ("", INFERENCE, service.handle.name)


def _status(service: InferenceService, name: str) -> bytes:
    status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    if name in _names(service):
        ready = service.handle.ready
        status = (
            health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        )
    return health_pb2.HealthCheckResponse(status=status).SerializeToString()
