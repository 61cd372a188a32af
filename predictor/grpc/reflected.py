"""Server reflection: tells tools such as grpcurl which services there are, and their messages."""

from collections.abc import AsyncIterator

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from predictor.errors import PredictorError
from predictor.grpc.contents import parse
from predictor.grpc.health import HEALTH, INFERENCE
from predictor.grpc.slots import ReadSlots


class Reflection:
    """Answers ServerReflectionInfo. Its messages are read like all others: there are only so many at once."""

    def __init__(self, slots: ReadSlots) -> None:
        self.slots = slots
        self.servicer = reflection.aio.ReflectionServicer((INFERENCE, HEALTH, reflection.SERVICE_NAME))

    async def answer(self, _messages: object, context: grpc.aio.ServicerContext) -> None:
        """Answer each message until the client ends."""
        try:
            async for answer in self.servicer.ServerReflectionInfo(self._read(context), context):
                await context.write(answer.SerializeToString())
        except PredictorError as error:
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))

    async def _read(
        self, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        while (message := await self.slots.read(context.read)) is not grpc.aio.EOF:
            yield parse(reflection_pb2.ServerReflectionRequest, message)
