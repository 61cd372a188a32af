"""Clients for what wrk does not do: records on one connection, and gRPC."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.benchmarks.servers import CLIENT_CORE, KEY, Server
from tests.support.http import Connection
from tests.support.server import NAME


def records(port: int, request: bytes, count: int) -> float:
    """Send records on one connection; returns how many were answered.

    Raises:
        RuntimeError: not all of them were.
    """
    with on_core(CLIENT_CORE):
        answered = _duplex(port, request).count(b"}\n")
    if answered != count:
        raise RuntimeError(f"{answered} of {count} records were answered")
    return answered


def _duplex(port: int, request: bytes) -> bytes:
    """Send a request and read its answer at the same time: both are longer than the buffers between."""
    with Connection(port, timeout=120) as connection:
        sender = threading.Thread(target=connection.send, args=(request,))
        sender.start()
        answer = connection.read_until_closed()
        sender.join()
        return answer


def calls(server: Server, seconds: float) -> float:
    """Call by gRPC for some seconds, 16 calls at a time; returns how many were answered."""
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": {"fp64_contents": [0.5]}}
    request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor])
    end = time.perf_counter() + seconds

    async def caller(stub: GRPCInferenceServiceStub) -> int:
        count = 0
        while time.perf_counter() < end:
            await stub.ModelInfer(request, metadata=(("x-api-key", KEY),))
            count += 1
        return count

    async def drive() -> int:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            return sum(await asyncio.gather(*(caller(stub) for _ in range(16))))

    with on_core(CLIENT_CORE):
        return asyncio.run(drive())


@contextlib.contextmanager
def on_core(core: str) -> Iterator[None]:
    """Keep this process on a core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
