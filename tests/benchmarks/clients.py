"""Clients for what wrk does not do: records on one connection, and gRPC."""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.benchmarks.servers import CLIENT_CORE, KEY, NAME, Server


def records(port: int, request: bytes, count: int) -> float:
    """Have records answered on one connection; how many.

    Raises:
        RuntimeError: not all of them were.
    """
    with on_core(CLIENT_CORE):
        answered = _duplex(port, request).count(b"}\n")
    if answered != count:
        raise RuntimeError(f"{answered} of {count} records were answered")
    return answered


def _duplex(port: int, request: bytes) -> bytes:
    """Send a request and read its answer at the same time: it is longer than every buffer on the way."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        sender = threading.Thread(target=wire.sendall, args=(request,))
        sender.start()
        answer = b"".join(iter(lambda: wire.recv(2**20), b""))
        sender.join()
        return answer


def calls(server: Server, seconds: float) -> float:
    """Calls by gRPC in some seconds, 16 at a time."""
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
