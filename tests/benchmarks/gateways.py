"""The rows of what gateways and clients do: fields that differ, feedback, and responses that nobody reads."""

import contextlib
import time

from tests.benchmarks.bench import Bench
from tests.benchmarks.clients import on_core
from tests.benchmarks.rest import JSON, ONE
from tests.benchmarks.servers import CLIENT_CORE, KEY, Server, running
from tests.support import processes
from tests.support.http import Connection, head, post
from tests.support.server import read_metric

CONNECTIONS = 1000
PIPELINED = 240
BATCH_ROWS = 10_000
_GROWTH_MB = 64 + 64
"""The memory budget, and as much again."""
_QUIET_SECONDS = 2
_BUSY_SECONDS = 0.02
AUTHORIZED = {"x-api-key": KEY}
_TRACED = """
local count = 0
request = function()
  count = count + 1
  wrk.headers["x-request-id"] = string.format("%08x-ceea-467f-a83c-%012x", count, count * 7919)
  wrk.headers["traceparent"] = string.format("00-4bf92f3577b34da6a3ce%012x-00f0%012x-01", count, count * 31)
  return wrk.format(nil, nil)
end
"""
"""Lines for the script of wrk that give each request other fields, as a gateway does."""


def tracing(bench: Bench) -> None:
    """One row a request, with another id and trace each time."""
    traced = bench.rate(bench.ours, "/stream", ONE, JSON, _TRACED)
    without = bench.rate(bench.ours, "/stream", ONE, JSON)
    bench.pair("/stream, x-request-id and traceparent differ | without", traced, without, least=0.7)


def feedback(bench: Bench) -> None:
    """One row a request, recorded under another id each time.

    Raises:
        RuntimeError: predictions were lost.
    """
    server = bench.start("predictor, feedback")
    recorded = bench.rate(server, "/stream", ONE, JSON, _TRACED)
    without = bench.rate(bench.ours, "/stream", ONE, JSON, _TRACED)
    bench.pair("/stream, recorded, ids differ | not recorded", recorded, without, least=0.5)
    lost = read_metric(server.port, 'predictor_feedback_lost_total{kind="predictions"}')
    if lost:
        raise RuntimeError(f"{lost:.0f} predictions were not recorded")


def unread(bench: Bench) -> None:
    """What the process grows by at the most while clients send requests and read no responses."""
    batch = b'{"instances":[%b]}' % b",".join([b"0.5"] * BATCH_ROWS)
    for work, request in (
        ("POST /stream", post("/stream", ONE, AUTHORIZED)),
        ("GET /stream/0.5", head("/stream/0.5", AUTHORIZED, method="GET")),
        (f"/batch, {BATCH_ROWS:,} rows", post("/batch", batch, AUTHORIZED)),
    ):
        with running("predictor, unread", bench.folder) as server, on_core(CLIENT_CORE):
            idle = server.memory()
            processes.forget_peak(server.process.pid)
            _send_unread(server, request * PIPELINED)
            growth = max(0, processes.peak_bytes(server.process.pid) - idle) / 2**20
        bench.limit(f"MB over idle, {CONNECTIONS} clients that do not read, {work}", growth, _GROWTH_MB)


def _send_unread(server: Server, requests: bytes) -> None:
    """Send requests over many connections until the server has nothing to do, and read nothing."""
    with contextlib.ExitStack() as stack:
        left: dict[Connection, memoryview] = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(Connection(server.port, receive_buffer=4096))
            connection.socket.setblocking(False)
            left[connection] = memoryview(requests)
        quiet_at = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < quiet_at:
            before = server.processor_seconds()
            for connection, rest in left.items():
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    left[connection] = rest[connection.socket.send(rest) :]
            time.sleep(0.1)
            if server.processor_seconds() - before > _BUSY_SECONDS:
                quiet_at = time.monotonic() + _QUIET_SECONDS
