"""Server reflection: tells tools such as grpcurl which services there are, and their messages."""

from collections.abc import AsyncIterator

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from predictor.errors import PredictorError
from predictor.grpc.health import HEALTH, INFERENCE
from predictor.grpc.slots import ReadSlots
from predictor.grpc.tensor_contents import parse
from predictor.identity import Identity
from predictor.service.inference import InferenceService


class Reflection:
    """Answers ServerReflectionInfo. Its messages are read like all others: there are only so many at once."""

    def __init__(self, service: InferenceService, slots: ReadSlots) -> None:
        self.service = service
        self.slots = slots
        self.servicer = reflection.aio.ReflectionServicer((INFERENCE, HEALTH, reflection.SERVICE_NAME))

    async def answer(self, _messages: object, context: grpc.aio.ServicerContext) -> None:
        """Answer each message until the client ends."""
        status = 200
        try:
            async for answer in self.servicer.ServerReflectionInfo(self._read(context), context):
                await context.write(answer.SerializeToString())
        except PredictorError as error:
            status = error.status
            self.service.count_refusal(error, "reflection", "grpc", Identity.new())
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))
        finally:
            self.service.metrics.series("reflection", "grpc").observe(status, 0, 0)

    async def _read(
        self, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        while (message := await self.slots.read(context.read)) is not grpc.aio.EOF:
            yield parse(reflection_pb2.ServerReflectionRequest, message)
