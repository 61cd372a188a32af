"""How fast the predictor answers, against KServe's stock server, a plain ASGI application and nginx.

Each server has one core and wrk the other; the runs alternate, and medians are printed: of both, and of the
ratios of the pairs. API keys, metrics and limits of the predictor are on. A row is missed where the ratio is
on the wrong side of its threshold, and void where that of its control is too; either fails the run.

On a machine that has other work, ``--processor-time`` counts requests for each second of processor time that
the server took, rather than for each second: the same where the server has its core for itself.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import simdjson

from tests.benchmarks import bodies, clients, open_loop, overload
from tests.benchmarks.clients import on_core
from tests.benchmarks.servers import CLIENT_CORE, KEY, SERVER_CORE, Server, running
from tests.benchmarks.stock_server import INTERCEPT, WEIGHT
from tests.benchmarks.table import Table, ratio_of
from tests.support.server import NAME

V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
JSON = {"Content-Type": "application/json"}
ROWS = 100_000
FEWER = 10_000
RECORDS = 1_000_000
OVERLOAD_ROWS = (2_000, 20_000, 50_000, 100_000)
_TAIL = 5
ONE = b'{"instance": 0.5}'

Measure = Callable[[], float]


GROUPS = ("memory", "one", "token", "many", "records", "latency", "overload", "grpc", "start")
"""Rows of the table that can be measured without the others; memory stands around them."""


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a row is missed or void."""
    parser = argparse.ArgumentParser(prog="benchmark.py serving", description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="how long each run takes")
    parser.add_argument("--rounds", type=int, default=7, help="how many pairs of runs there are")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=GROUPS, help="these groups of rows instead of all"
    )
    parser.add_argument(
        "--processor-time", action="store_true", help="rates by the processor time of the servers"
    )
    options = parser.parse_args(arguments)
    table = Table()
    print(f"{'work':58} {'ours':>12} {'theirs':>12} {'ratio':>8} {'threshold':>9}")
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        bench = Bench(table, Path(place), stack, options)
        groups = {
            "memory": bench.idle,
            "one": bench.one_row,
            "token": bench.token,
            "many": bench.many_rows,
            "records": bench.records,
            "latency": bench.latency,
            "overload": bench.overload,
            "grpc": bench.grpc,
        }
        for group, measure in groups.items():
            if group in options.only:
                measure()
        if "memory" in options.only:
            bench.after()
    if "start" in options.only:
        starting(table, options.rounds)
    return table.finish()


class Bench:
    """Runs alternated measurements."""

    def __init__(
        self, table: Table, folder: Path, stack: contextlib.ExitStack, options: argparse.Namespace
    ) -> None:
        self.table = table
        self.folder = folder
        self.stack = stack
        self.servers: dict[str, Server] = {}
        self.seconds: int = options.seconds
        self.rounds: int = options.rounds
        self.clock = _processor_time if options.processor_time else _wall_time
        self.ours, self.stock = self.start("predictor"), self.start("stock")
        self.stock_idle = self.stock.memory() / 2**20

    def start(self, name: str) -> Server:
        """A server that ends with the benchmark; started when it is first asked for."""
        if name not in self.servers:
            self.servers[name] = self.stack.enter_context(running(name, self.folder))
        return self.servers[name]

    def idle(self) -> None:
        """Memory before the others are measured."""
        pair = (self.ours.memory() / 2**20, self.stock_idle)
        self.table.row("resident MB, idle | stock, idle", [pair], most=1.2)

    def after(self) -> None:
        """Memory after the others were measured."""
        pair = (self.ours.memory() / 2**20, self.stock_idle)
        self.table.row("resident MB, after the above | stock, idle", [pair], most=1.2)

    def pair(self, work: str, ours: Measure, theirs: Measure, *, least: float | None = None) -> float:
        """Measure two alternately; returns our median."""
        return self.table.row(work, [(ours(), theirs()) for _ in range(self.rounds)], least=least)

    def rate(self, server: Server, path: str, body: bytes, headers: dict[str, str]) -> Measure:
        """A measurement of requests a second."""
        return self.timed(
            server, lambda: self.seconds * server.rate(path, body, headers, self.folder, self.seconds)
        )

    def timed(self, server: Server, work: Callable[[], float]) -> Measure:
        """A measurement of how much is done a second, from work that tells how much it did."""

        def measure() -> float:
            started = self.clock(server)
            done = work()
            return done / (self.clock(server) - started)

        return measure

    def one_row(self) -> None:
        """One row a request."""
        ours, stock, plain, nginx = self.ours, self.stock, self.start("plain"), self.start("nginx")
        v1, v2 = b'{"instances": [[0.5]]}', bodies.v2_json()
        stream = self.rate(ours, "/stream", ONE, JSON)
        stock_v1 = self.rate(stock, V1, v1, JSON)
        self.pair("/stream | stock V1", stream, stock_v1, least=15)
        self.pair("V1, one row | stock V1", self.rate(ours, V1, v1, JSON), stock_v1, least=15)
        self.pair(
            "V2, one row | stock V2", self.rate(ours, V2, v2, JSON), self.rate(stock, V2, v2, JSON), least=15
        )
        self.pair(
            "/stream | plain ASGI, fixed answer", stream, self.rate(plain, "/stream", ONE, JSON), least=1.5
        )
        self.pair("/stream | nginx, fixed answer", stream, self.rate(nginx, "/stream", ONE, JSON), least=0.5)

    def token(self) -> None:
        """One row a request, let in by a token."""
        server = self.start("predictor, JWT")
        bearer = {"Authorization": f"Bearer {(self.folder / 'token').read_text()}"}
        self.pair(
            "/stream with a JWT | with an API key",
            self.rate(server, "/stream", ONE, JSON | bearer),
            self.rate(self.ours, "/stream", ONE, JSON),
        )

    def many_rows(self) -> None:
        """A hundred thousand rows a request."""
        ours, stock = self.ours, self.stock
        values = np.random.default_rng(0).normal(0, 0.05, ROWS)
        rows = orjson.dumps({"instances": values.reshape(-1, 1)}, option=orjson.OPT_SERIALIZE_NUMPY)
        batch, stock_v1 = self.rate(ours, "/batch", rows, JSON), self.rate(stock, V1, rows, JSON)
        predict = self.rate(ours, V1, rows, JSON)
        self.pair("/batch, 100,000 rows of JSON | stock V1", batch, stock_v1, least=4)
        self.pair("V1, 100,000 rows of JSON | stock V1", predict, stock_v1, least=4)
        for name, measure in (("/batch", batch), ("V1", predict)):
            work = f"{name}, 100,000 rows of JSON | its parts in process"
            self.pair(work, measure, lambda: _parts(rows, self.seconds, self.clock), least=0.5)
        few = orjson.dumps({"instances": values[:FEWER].reshape(-1, 1)}, option=orjson.OPT_SERIALIZE_NUMPY)
        self.pair(
            f"/batch, {FEWER:,} rows of JSON on the loop | in a thread",
            self.rate(ours, "/batch", few, JSON),
            self.rate(self.start("predictor, threads"), "/batch", few, JSON),
            least=1,
        )
        arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
        self.pair(
            "/batch, 100,000 rows of Arrow | of JSON",
            self.rate(ours, "/batch", bodies.arrow(values), arrow),
            batch,
            least=3,
        )
        binary, headers = bodies.v2_binary(values)
        tensor, stock_tensor = self.rate(ours, V2, binary, headers), self.rate(stock, V2, binary, headers)
        self.pair("V2, binary tensor of 100,000 rows | stock V2", tensor, stock_tensor, least=3)

    def records(self) -> None:
        """A million records on one connection."""
        body = b"".join(b'{"instance": %.6f}\n' % value for value in np.linspace(-0.1, 0.2, RECORDS))
        head = f"POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {KEY}\r\n"
        head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
        stream = self.rate(self.ours, "/stream", ONE, JSON)
        self.pair(
            "NDJSON records/s | /stream, one request each",
            self.timed(self.ours, lambda: clients.records(self.ours.port, head.encode() + body, RECORDS)),
            stream,
            least=5,
        )

    def latency(self) -> None:
        """The tail at half of the peak, timed from when each request should have been sent.

        nginx at the same rate is the control: a machine that itself stands still now and then, as one that is
        shared does, gives any server a long tail. Where it gives nginx one, the first row says nothing; who
        is busy half of the time needs as long again to work off what came meanwhile, nginx a third.
        """
        ours, nginx = self.ours, self.start("nginx")
        rate = ours.rate("/stream", ONE, JSON, self.folder, self.seconds) / 2
        rounds = [(self._tail(ours, rate), self._tail(nginx, rate)) for _ in range(self.rounds)]
        control = [tail for _, tail in rounds]
        self.table.row("nginx at that rate, p99 ms | median ms", control)
        self.table.row(
            "/stream at half its peak, p99 ms | median ms",
            [tail for tail, _ in rounds],
            most=_TAIL,
            void=ratio_of(control) > _TAIL,
        )
        p99 = [(tail[0], other[0]) for tail, other in rounds]
        self.table.row("/stream at half its peak, p99 ms | nginx's p99 ms", p99, most=3)

    def _tail(self, server: Server, rate: float) -> tuple[float, float]:
        """The 99th percentile and the median of the latency of ``/stream``, in milliseconds."""
        head = f"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {KEY}\r\n"
        request = f"{head}Content-Length: {len(ONE)}\r\n\r\n".encode() + ONE
        with on_core(CLIENT_CORE):
            latencies = open_loop.run(server.port, request, rate=rate, seconds=self.seconds, connections=32)
        p99, median = np.quantile(latencies, (0.99, 0.5)) * 1e3
        return float(p99), float(median)

    def overload(self) -> None:
        """Right answers at four times the rate that there is at most; everything else is refused."""
        for rows in OVERLOAD_ROWS:
            values = np.random.default_rng(0).normal(0, 0.05, (rows, 1))
            body = orjson.dumps({"instances": values}, option=orjson.OPT_SERIALIZE_NUMPY)
            head = (
                f"POST /batch HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            request = head.encode() + body
            pairs, refused = [], []
            for _ in range(self.rounds):
                with on_core(CLIENT_CORE):
                    peak = overload.offer(self.ours.port, request, seconds=self.seconds, connections=4)
                    most = overload.offer(
                        self.ours.port, request, rate=4 * peak.rate, seconds=self.seconds, connections=64
                    )
                pairs.append((most.rate, peak.rate))
                refused += most.refused
            self.table.row(f"/batch, {rows:,} rows, at 4 times its peak | its peak", pairs, least=0.9)
            slowest = np.quantile(refused, 0.99) * 1e3 if refused else 0.0
            print(f"# {len(refused):,} refused, 99 of 100 within {slowest:.0f} ms")

    def grpc(self) -> None:
        """One row by gRPC."""
        self.pair(
            "gRPC, one row | stock gRPC",
            self.timed(self.ours, lambda: clients.calls(self.ours, self.seconds)),
            self.timed(self.stock, lambda: clients.calls(self.stock, self.seconds)),
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
    table.row("start to first right answer, s | import kserve, s", results, most=1.3)


def _wall_time(_server: Server | None) -> float:
    return time.perf_counter()


def _processor_time(server: Server | None) -> float:
    """The processor time of a server; of this process without one."""
    return server.processor_seconds() if server else time.process_time()


def _parts(body: bytes, seconds: float, clock: Callable[[Server | None], float]) -> float:
    """Parse into a buffer, multiply and add, write: a second, in this process, on the servers' core."""
    parser = simdjson.Parser()
    count, started, end = 0, clock(None), time.perf_counter() + seconds
    with on_core(SERVER_CORE):
        while time.perf_counter() < end:
            document: Any = parser.parse(body)
            instances = document["instances"]
            values = np.frombuffer(instances.as_buffer(of_type="d"))
            del document, instances
            orjson.dumps({"predictions": values * WEIGHT + INTERCEPT}, option=orjson.OPT_SERIALIZE_NUMPY)
            count += 1
    return count / (clock(None) - started)
