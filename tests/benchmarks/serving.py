"""How fast the predictor answers, against KServe's stock server and plain servers with a fixed answer.

Each server has one core and the client the other; the runs alternate, and medians are printed: of both, and
of the ratios of the pairs. API keys, metrics and limits of the predictor are on. A row is missed where the
ratio is on the wrong side of its threshold, and void where that of its control is too; either fails the run.

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

from tests.benchmarks import gateways, ghz, held, locks, loop, observing, rest, rpc
from tests.benchmarks.bench import Bench
from tests.benchmarks.servers import running
from tests.benchmarks.table import Table

_DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


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
    parser.add_argument("--write", action="store_true", help=f"write the rows into {_DOCUMENT.name} too")
    options = parser.parse_args(arguments)
    if "grpc" in options.only:
        ghz.find()
    table = Table()
    print(f"{'work':58} {'ours':>12} {'theirs':>12} {'ratio':>8} {'threshold':>9}")
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        bench = Bench(table, Path(place), stack, options)
        stock_idle = idle(bench) if "memory" in options.only else 0.0
        for group, measure in _ROWS.items():
            if group in options.only:
                measure(bench)
        if "memory" in options.only:
            after(bench, stock_idle)
    if "start" in options.only:
        starting(table, options.rounds)
    if options.write:
        table.write(_DOCUMENT)
    return table.finish()


_ROWS: dict[str, Callable[[Bench], None]] = {
    "one": rest.one_row,
    "token": rest.token,
    "many": rest.many_rows,
    "records": rest.records,
    "latency": rest.latency,
    "overload": rest.overloaded,
    "tracing": gateways.tracing,
    "feedback": gateways.feedback,
    "unread": gateways.unread,
    "metrics": observing.counting,
    "drift": observing.drift,
    "spans": observing.spans,
    "grpc": rpc.one_row,
    "grpc-health": rpc.health,
    "grpc-memory": rpc.memory,
    "loop": loop.longest_callback,
    "held": held.by_forms,
    "locks": locks.waits,
}

GROUPS = ("memory", *_ROWS, "start")
"""Rows of the table that can be measured without the others. Memory is measured before and after them."""


def idle(bench: Bench) -> float:
    """Measure memory before the others; returns that of the stock server, in MB."""
    ours, stock = bench.ours.memory() / 2**20, bench.stock.memory() / 2**20
    bench.table.row("resident MB, idle | stock, idle", [(ours, stock)], most=1.2)
    return stock


def after(bench: Bench, stock_idle: float) -> None:
    """Measure memory after the others."""
    pair = (bench.ours.memory() / 2**20, stock_idle)
    bench.table.row("resident MB, after the above | stock, idle", [pair], most=1.2)


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
