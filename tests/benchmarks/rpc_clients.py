"""gRPC callers that send nothing, and callers that send much."""

import asyncio
import atexit
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import cache

import grpc
from grpc_health.v1 import health_pb2
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.support.server import NAME

INFER = "/inference.GRPCInferenceService/ModelInfer"
CHECK = "/grpc.health.v1.Health/Check"
_CHECKS = {
    "/inference.GRPCInferenceService/ServerLive": pb.ServerLiveRequest().SerializeToString(),
    CHECK: health_pb2.HealthCheckRequest().SerializeToString(),
}
_CHANNELS = 4
_PAUSE = 0.02
_SECONDS = 120
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


@cache
def _runner() -> asyncio.Runner:
    """Return the event loop of all callers: grpc.aio stays with the first one that it finds."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def slowest_check(port: int, key: str, method: str, callers: int, seconds: float) -> float:
    """Call the health checks for some seconds while callers have a method open and send nothing.

    Returns:
        The seconds of the slowest check.

    Raises:
        RuntimeError: a call was ended for another reason than that it sent nothing.
    """
    return _runner().run(_slowest_check(port, key, method, callers, seconds))


async def _slowest_check(port: int, key: str, method: str, callers: int, seconds: float) -> float:
    async with _channels(port) as channels, _channels(port, 1) as (other,):
        idle = [
            asyncio.create_task(_call_and_send_nothing(channels[i % _CHANNELS], key, method))
            for i in range(callers)
        ]
        await asyncio.sleep(0.5)
        slowest, end = 0.0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            for method, message in _CHECKS.items():
                started = time.perf_counter()
                await other.unary_unary(method)(message, timeout=_SECONDS)
                slowest = max(slowest, time.perf_counter() - started)
                await asyncio.sleep(_PAUSE)
        ended = [task for task in idle if task.done()]
        for task in idle:
            task.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
    if ended:
        raise RuntimeError(f"{len(ended)} calls that sent nothing failed: {ended[0].exception()!r}")
    return slowest


async def _call_and_send_nothing(channel: grpc.aio.Channel, key: str, method: str) -> None:
    """Have a call open, and open another one when the server has ended it."""
    while True:
        call = channel.stream_unary(method)(metadata=(("x-api-key", key),))
        code = await call.code()
        if code not in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise RuntimeError(f"a call that sent nothing ended with {code.name}")


def flood(port: int, calls: int, message: bytes) -> Counter[str]:
    """Send a message with each of so many calls at once; returns how many ended with which status."""
    return _runner().run(_flood(port, calls, message))


async def _flood(port: int, calls: int, message: bytes) -> Counter[str]:
    async with _channels(port) as channels:

        async def call(channel: grpc.aio.Channel) -> str:
            try:
                await channel.unary_unary(INFER)(message, timeout=_SECONDS)
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)
            return "OK"

        return Counter(await asyncio.gather(*(call(channels[i % _CHANNELS]) for i in range(calls))))


@contextlib.asynccontextmanager
async def _channels(port: int, count: int = _CHANNELS) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Connect so many times."""
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) for _ in range(count)]
    try:
        yield channels
    finally:
        for channel in channels:
            await channel.close()


def raw_rows(count: int) -> bytes:
    """Return a message with ``count`` rows as a raw tensor, 8 bytes a row."""
    tensor = {"name": "instances", "shape": [count, 1], "datatype": "FP64"}
    request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor], raw_input_contents=[bytes(8 * count)])
    return request.SerializeToString()
