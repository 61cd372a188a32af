"""How fast the predictor answers, against KServe's stock server, a plain ASGI application and nginx.

Each server has one core and wrk the other; the runs alternate, and the medians are printed. API keys, metrics
and limits of the predictor are on. A row is missed where the ratio is on the wrong side of its threshold.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import nanoarrow
import numpy as np
import orjson
import simdjson
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from nanoarrow.ipc import StreamWriter

from tests.benchmarks import open_loop
from tests.benchmarks.servers import KEY, Server, running
from tests.benchmarks.stock_server import INTERCEPT, WEIGHT

NAME = "linear-regressor"
V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
JSON = {"Content-Type": "application/json"}
ROWS = 100_000
RECORDS = 1_000_000

Measure = Callable[[], float]


class Table:
    """The rows that were measured."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def row(
        self, work: str, ours: float, theirs: float, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Print a row, and note whether it was missed."""
        ratio = ours / theirs if theirs else float("inf")
        missed = (least is not None and ratio < least) or (most is not None and ratio > most)
        threshold = f">= {least:g}" if least is not None else f"<= {most:g}"
        mark = "  missed" if missed else ""
        print(f"{work:58} {ours:12.4g} {theirs:12.4g} {ratio:8.2f} {threshold:>9}{mark}", flush=True)
        if missed:
            self.missed.append(work)


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a row is missed."""
    parser = argparse.ArgumentParser(prog="benchmark.py serving", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="how long each run takes")
    parser.add_argument("--rounds", type=int, default=7, help="how many pairs of runs there are")
    options = parser.parse_args(arguments)
    table = Table()
    print(f"{'work':58} {'ours':>12} {'theirs':>12} {'ratio':>8} {'threshold':>9}")
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        names = ("predictor", "stock", "plain", "nginx")
        ours, stock, plain, nginx = (stack.enter_context(running(name, folder)) for name in names)
        bench = Bench(table, folder, options.seconds, options.rounds)
        idle = stock.memory()
        table.row("resident MB, idle | stock, idle", ours.memory() / 2**20, idle / 2**20, most=1.2)
        bench.one_row(ours, stock, plain, nginx)
        bench.many_rows(ours, stock)
        bench.records(ours)
        bench.latency(ours)
        bench.grpc(ours, stock)
        table.row("resident MB, after the above | stock, idle", ours.memory() / 2**20, idle / 2**20, most=1.2)
    starting(table, options.rounds)
    for work in table.missed:
        print(f"# missed: {work}")
    return 1 if table.missed else 0


class Bench:
    """Runs alternated measurements."""

    def __init__(self, table: Table, folder: Path, seconds: int, rounds: int) -> None:
        self.table = table
        self.folder = folder
        self.seconds = seconds
        self.rounds = rounds
        self.peak = 0.0

    def pair(self, work: str, ours: Measure, theirs: Measure, *, least: float) -> float:
        """Measure two alternately; a row of the medians. Returns our median."""
        results = [(ours(), theirs()) for _ in range(self.rounds)]
        first, second = (statistics.median(column) for column in zip(*results, strict=True))
        self.table.row(work, first, second, least=least)
        return first

    def rate(self, server: Server, path: str, body: bytes, headers: dict[str, str]) -> Measure:
        """A measurement of requests a second."""
        return lambda: server.rate(path, body, headers, self.folder, self.seconds)

    def one_row(self, ours: Server, stock: Server, plain: Server, nginx: Server) -> None:
        """One row a request."""
        one, v1, v2 = b'{"instance": 0.5}', b'{"instances": [[0.5]]}', _v2_json()
        stream = self.rate(ours, "/stream", one, JSON)
        stock_v1 = self.rate(stock, V1, v1, JSON)
        self.peak = self.pair("/stream | stock V1", stream, stock_v1, least=15)
        self.pair("V1, one row | stock V1", self.rate(ours, V1, v1, JSON), stock_v1, least=15)
        self.pair(
            "V2, one row | stock V2", self.rate(ours, V2, v2, JSON), self.rate(stock, V2, v2, JSON), least=15
        )
        self.pair(
            "/stream | plain ASGI, fixed answer", stream, self.rate(plain, "/stream", one, JSON), least=1.5
        )
        self.pair("/stream | nginx, fixed answer", stream, self.rate(nginx, "/stream", one, JSON), least=0.5)

    def many_rows(self, ours: Server, stock: Server) -> None:
        """A hundred thousand rows a request."""
        values = np.random.default_rng(0).normal(0, 0.05, ROWS)
        rows = orjson.dumps({"instances": values.reshape(-1, 1)}, option=orjson.OPT_SERIALIZE_NUMPY)
        batch, stock_v1 = self.rate(ours, "/batch", rows, JSON), self.rate(stock, V1, rows, JSON)
        self.pair("/batch, 100,000 rows of JSON | stock V1", batch, stock_v1, least=4)
        self.pair("V1, 100,000 rows of JSON | stock V1", self.rate(ours, V1, rows, JSON), stock_v1, least=4)
        self.pair(
            "/batch, 100,000 rows of JSON | its parts in process",
            batch,
            lambda: _parts(rows, self.seconds),
            least=0.5,
        )
        arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
        self.pair(
            "/batch, 100,000 rows of Arrow | of JSON",
            self.rate(ours, "/batch", _arrow(values), arrow),
            batch,
            least=3,
        )
        binary, headers = _v2_binary(values)
        tensor, stock_tensor = self.rate(ours, V2, binary, headers), self.rate(stock, V2, binary, headers)
        self.pair("V2, binary tensor of 100,000 rows | stock V2", tensor, stock_tensor, least=3)

    def records(self, ours: Server) -> None:
        """A million records on one connection."""
        body = b"".join(b'{"instance": %.6f}\n' % value for value in np.linspace(-0.1, 0.2, RECORDS))
        head = f"POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {KEY}\r\n"
        head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        rates = []
        for _ in range(3):
            started = time.perf_counter()
            answered = duplex(ours.port, head.encode() + body).count(b"}\n")
            rates.append(RECORDS / (time.perf_counter() - started))
            if answered != RECORDS:
                raise RuntimeError(f"{answered} of {RECORDS} records were answered")
        self.table.row(
            "NDJSON records/s | /stream, one request each", statistics.median(rates), self.peak, least=5
        )

    def latency(self, ours: Server) -> None:
        """The tail at half of the peak, timed from when each request should have been sent."""
        body = b'{"instance": 0.5}'
        head = f"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {KEY}\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        latencies = open_loop.run(
            ours.port, request, rate=self.peak / 2, seconds=self.seconds, connections=32
        )
        p50, p99 = (float(np.quantile(latencies, q)) * 1e3 for q in (0.5, 0.99))
        self.table.row("/stream at half its peak, p99 ms | median ms", p99, p50, most=5)

    def grpc(self, ours: Server, stock: Server) -> None:
        """One row by gRPC."""
        self.pair(
            "gRPC, one row | stock gRPC",
            lambda: _grpc(ours, self.seconds),
            lambda: _grpc(stock, self.seconds),
            least=0.95,
        )


def starting(table: Table, rounds: int) -> None:
    """From the start of the process to the first right answer."""
    results = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run(["taskset", "-c", "0", sys.executable, "-c", "import kserve"], check=True)
        imported = time.perf_counter() - started
        with tempfile.TemporaryDirectory() as place, running("predictor", Path(place)) as server:
            results.append((server.first_answer, imported))
    ours, theirs = (statistics.median(column) for column in zip(*results, strict=True))
    table.row("start to first right answer, s | import kserve, s", ours, theirs, most=1.3)


def _parts(body: bytes, seconds: float) -> float:
    """Parse into a buffer, multiply and add, write: a second, in this process, on the servers' core."""
    parser, cores = simdjson.Parser(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        document: Any = parser.parse(body)
        instances = document["instances"]
        values = np.frombuffer(instances.as_buffer(of_type="d"))
        del document, instances
        orjson.dumps({"predictions": values * WEIGHT + INTERCEPT}, option=orjson.OPT_SERIALIZE_NUMPY)
        count += 1
    os.sched_setaffinity(0, cores)
    return count / seconds


def duplex(port: int, request: bytes) -> bytes:
    """Send a request and read its answer at the same time: it is longer than every buffer on the way."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as wire:
        sender = threading.Thread(target=wire.sendall, args=(request,))
        sender.start()
        answer = b"".join(iter(lambda: wire.recv(2**20), b""))
        sender.join()
        return answer


def _v2_json() -> bytes:
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}
    return json.dumps({"inputs": [tensor]}).encode()


def _v2_binary(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[bytes, dict[str, str]]:
    raw = values.tobytes()
    tensor = {
        "name": "instances",
        "shape": [len(values), 1],
        "datatype": "FP64",
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + raw, headers


def _arrow(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> bytes:
    column = nanoarrow.c_array_from_buffers(nanoarrow.float64(), len(values), [None, values], null_count=0)
    schema = nanoarrow.struct({"bmi": nanoarrow.float64()})
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(
            nanoarrow.c_array_from_buffers(schema, len(values), [None], null_count=0, children=[column])
        )
    return out.getvalue()


def _grpc(server: Server, seconds: float) -> float:
    """Calls a second, 16 at a time."""
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

    cores = os.sched_getaffinity(0)
    with _pinned({1} & cores or cores, cores):
        return asyncio.run(drive()) / seconds


@contextlib.contextmanager
def _pinned(to: set[int], back: set[int]) -> Iterator[None]:
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, back)
