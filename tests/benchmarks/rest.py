"""The rows of HTTP: rates of one row and of many, the tail of the latency, and overload."""

import time
from typing import Any

import numpy as np
import orjson
import simdjson

from tests.benchmarks import bodies, clients, open_loop, overload
from tests.benchmarks.bench import Bench, Clock
from tests.benchmarks.clients import on_core
from tests.benchmarks.servers import CLIENT_CORE, KEY, SERVER_CORE, Server
from tests.benchmarks.stock_server import INTERCEPT, WEIGHT
from tests.benchmarks.table import ratio_of
from tests.support.server import NAME

V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
JSON = {"Content-Type": "application/json"}
ROWS = 100_000
FEWER = 10_000
RECORDS = 1_000_000
OVERLOAD_ROWS = (2_000, 20_000, 50_000, 100_000)
_TAIL = 5
ONE = b'{"instance": 0.5}'


def one_row(bench: Bench) -> None:
    """One row a request."""
    ours, stock, plain, nginx = bench.ours, bench.stock, bench.start("plain"), bench.start("nginx")
    v1, v2 = b'{"instances": [[0.5]]}', bodies.v2_json()
    stream = bench.rate(ours, "/stream", ONE, JSON)
    stock_v1 = bench.rate(stock, V1, v1, JSON)
    bench.pair("/stream | stock V1", stream, stock_v1, least=15)
    bench.pair("V1, one row | stock V1", bench.rate(ours, V1, v1, JSON), stock_v1, least=15)
    bench.pair(
        "V2, one row | stock V2", bench.rate(ours, V2, v2, JSON), bench.rate(stock, V2, v2, JSON), least=15
    )
    bench.pair(
        "/stream | plain ASGI, fixed answer", stream, bench.rate(plain, "/stream", ONE, JSON), least=1.5
    )
    bench.pair("/stream | nginx, fixed answer", stream, bench.rate(nginx, "/stream", ONE, JSON), least=0.5)


def token(bench: Bench) -> None:
    """One row a request, authorized by a token."""
    server = bench.start("predictor, JWT")
    bearer = {"Authorization": f"Bearer {(bench.folder / 'token').read_text()}"}
    bench.pair(
        "/stream with a JWT | with an API key",
        bench.rate(server, "/stream", ONE, JSON | bearer),
        bench.rate(bench.ours, "/stream", ONE, JSON),
    )


def many_rows(bench: Bench) -> None:
    """A hundred thousand rows a request."""
    ours, stock = bench.ours, bench.stock
    values = np.random.default_rng(0).normal(0, 0.05, ROWS)
    rows = orjson.dumps({"instances": values.reshape(-1, 1)}, option=orjson.OPT_SERIALIZE_NUMPY)
    batch, stock_v1 = bench.rate(ours, "/batch", rows, JSON), bench.rate(stock, V1, rows, JSON)
    predict = bench.rate(ours, V1, rows, JSON)
    bench.pair("/batch, 100,000 rows of JSON | stock V1", batch, stock_v1, least=4)
    bench.pair("V1, 100,000 rows of JSON | stock V1", predict, stock_v1, least=4)
    for name, measure in (("/batch", batch), ("V1", predict)):
        work = f"{name}, 100,000 rows of JSON | its parts in process"
        bench.pair(work, measure, lambda: _parts(rows, bench.seconds, bench.clock), least=0.5)
    few = orjson.dumps({"instances": values[:FEWER].reshape(-1, 1)}, option=orjson.OPT_SERIALIZE_NUMPY)
    bench.pair(
        f"/batch, {FEWER:,} rows of JSON on the loop | in a thread",
        bench.rate(ours, "/batch", few, JSON),
        bench.rate(bench.start("predictor, threads"), "/batch", few, JSON),
        least=1,
    )
    arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
    bench.pair(
        "/batch, 100,000 rows of Arrow | of JSON",
        bench.rate(ours, "/batch", bodies.arrow(values), arrow),
        batch,
        least=3,
    )
    binary, headers = bodies.v2_binary(values)
    tensor, stock_tensor = bench.rate(ours, V2, binary, headers), bench.rate(stock, V2, binary, headers)
    bench.pair("V2, binary tensor of 100,000 rows | stock V2", tensor, stock_tensor, least=3)


def records(bench: Bench) -> None:
    """A million records on one connection."""
    body = b"".join(b'{"instance": %.6f}\n' % value for value in np.linspace(-0.1, 0.2, RECORDS))
    head = f"POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {KEY}\r\n"
    head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    stream = bench.rate(bench.ours, "/stream", ONE, JSON)
    bench.pair(
        "NDJSON records/s | /stream, one request each",
        bench.timed(bench.ours, lambda: clients.records(bench.ours.port, head.encode() + body, RECORDS)),
        stream,
        least=5,
    )


def latency(bench: Bench) -> None:
    """The tail at half of the peak, timed from when each request should have been sent.

    nginx at the same rate is the control: a machine that itself stands still now and then, as one that is
    shared does, gives any server a long tail. Where it gives nginx one, the first row says nothing; who
    is busy half of the time needs as long again to work off what came meanwhile, nginx a third.
    """
    ours, nginx = bench.ours, bench.start("nginx")
    rate = ours.rate("/stream", ONE, JSON, bench.folder, bench.seconds) / 2
    rounds = [
        (tail(ours, rate, bench.seconds), tail(nginx, rate, bench.seconds)) for _ in range(bench.rounds)
    ]
    control = [nginx_tail for _, nginx_tail in rounds]
    bench.table.row("nginx at that rate, p99 ms | median ms", control)
    bench.table.row(
        "/stream at half its peak, p99 ms | median ms",
        [our_tail for our_tail, _ in rounds],
        most=_TAIL,
        void=ratio_of(control) > _TAIL,
    )
    p99 = [(our_tail[0], nginx_tail[0]) for our_tail, nginx_tail in rounds]
    bench.table.row("/stream at half its peak, p99 ms | nginx's p99 ms", p99, most=3)


def tail(server: Server, rate: float, seconds: float) -> tuple[float, float]:
    """Return the 99th percentile and the median of the latency of ``/stream``, in milliseconds."""
    head = f"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: {KEY}\r\n"
    request = f"{head}Content-Length: {len(ONE)}\r\n\r\n".encode() + ONE
    with on_core(CLIENT_CORE):
        latencies = open_loop.run(server.port, request, rate=rate, seconds=seconds, connections=32)
    p99, median = np.quantile(latencies, (0.99, 0.5)) * 1e3
    return float(p99), float(median)


def overloaded(bench: Bench) -> None:
    """Right answers at four times the rate that there is at most; everything else is refused."""
    for rows in OVERLOAD_ROWS:
        values = np.random.default_rng(0).normal(0, 0.05, (rows, 1))
        body = orjson.dumps({"instances": values}, option=orjson.OPT_SERIALIZE_NUMPY)
        head = f"POST /batch HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        pairs, refused = [], []
        for _ in range(bench.rounds):
            with on_core(CLIENT_CORE):
                peak = overload.offer(bench.ours.port, request, seconds=bench.seconds, connections=4)
                most = overload.offer(
                    bench.ours.port, request, rate=4 * peak.rate, seconds=bench.seconds, connections=64
                )
            pairs.append((most.rate, peak.rate))
            refused += most.refused
        bench.table.row(f"/batch, {rows:,} rows, at 4 times its peak | its peak", pairs, least=0.9)
        slowest = np.quantile(refused, 0.99) * 1e3 if refused else 0.0
        print(f"# {len(refused):,} refused, 99 of 100 within {slowest:.0f} ms")


def _parts(body: bytes, seconds: float, clock: Clock) -> float:
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
