"""The rows of gRPC: its rate, health checks beside idle callers, and memory."""

from collections import Counter

from tests.benchmarks import ghz, rpc_clients
from tests.benchmarks.bench import Bench, Measure
from tests.benchmarks.clients import on_core
from tests.benchmarks.servers import CLIENT_CORE, KEY, PINNED, PLAIN_GRPC, Server, write_keys
from tests.support import processes
from tests.support import server as predictor

IDLE_CALLERS = 100
CALLS = 400
MESSAGE_ROWS = 1_000_000
"""8 MB."""
_HEALTH_MS = 100
_GROWTH_MB = 64
_BUDGET_MB = 64


def one_row(bench: Bench) -> None:
    """One row a call."""

    def rate(server: Server) -> Measure:
        metadata = {"x-api-key": KEY}
        return bench.timed(
            server,
            lambda: ghz.calls(server.grpc_port, metadata, bench.seconds, bench.folder, CLIENT_CORE),
        )

    ours = rate(bench.ours)
    plain, stock = rate(bench.start(PLAIN_GRPC)), rate(bench.stock)
    bench.pair("gRPC, one row | bare grpc.aio, fixed answer", ours, plain, least=0.65)
    bench.pair("gRPC, one row | stock gRPC", ours, stock, least=1.3)


def health(bench: Bench) -> None:
    """Health checks while callers have a call open and send nothing.

    The best of the rounds counts: whatever else the machine does can only make a check slower.
    """
    for method in (rpc_clients.INFER, rpc_clients.CHECK):
        with on_core(CLIENT_CORE):
            slowest = min(
                rpc_clients.slowest_check(bench.ours.grpc_port, KEY, method, IDLE_CALLERS, bench.seconds)
                for _ in range(bench.rounds)
            )
        name = f"gRPC health check beside {IDLE_CALLERS} idle callers of {method.rpartition('/')[2]}, ms"
        bench.limit(name, slowest * 1e3, _HEALTH_MS)


def memory(bench: Bench) -> None:
    """What the process grows by at the most while callers send 8 MB each."""
    keys = write_keys(bench.folder)
    message = rpc_clients.raw_rows(MESSAGE_ROWS)
    for work, allowed, expected, settings in (
        ("unauthenticated", _GROWTH_MB, {"UNAUTHENTICATED"}, {"auth": "required", "api_keys": keys}),
        ("auth off", _BUDGET_MB + _GROWTH_MB, {"OK", "RESOURCE_EXHAUSTED"}, {"auth": "off"}),
    ):
        with predictor.start_predictor(launcher=PINNED, **settings) as server, on_core(CLIENT_CORE):
            rpc_clients.flood(server.grpc_port, 1, rpc_clients.raw_rows(1))
            idle = server.memory()
            processes.forget_peak(server.process.pid)
            statuses = rpc_clients.flood(server.grpc_port, CALLS, message)
            peak = processes.peak_bytes(server.process.pid)
        check(statuses, expected)
        print(f"# {work}: {dict(statuses)}")
        growth = max(0, peak - idle) / 2**20
        bench.limit(f"MB over idle by {CALLS} gRPC messages of 8 MB, {work}", growth, allowed)


def check(statuses: Counter[str], expected: set[str]) -> None:
    """Check that each of the expected statuses was there, and no other.

    Raises:
        RuntimeError: that is not so.
    """
    if set(statuses) != expected:
        raise RuntimeError(f"expected the statuses {sorted(expected)}, got {dict(statuses)}")
