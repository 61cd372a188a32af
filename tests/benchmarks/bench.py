"""Runs measurements of servers in turn, and adds them to a table."""

import argparse
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from tests.benchmarks.servers import Server, running
from tests.benchmarks.table import Table

Measure = Callable[[], float]
Clock = Callable[[Server | None], float]


class Bench:
    """The servers that are measured, and how."""

    def __init__(
        self, table: Table, folder: Path, stack: contextlib.ExitStack, options: argparse.Namespace
    ) -> None:
        self.table = table
        self.folder = folder
        self.stack = stack
        self.servers: dict[str, Server] = {}
        self.seconds: int = options.seconds
        self.rounds: int = options.rounds
        self.clock: Clock = _processor_time if options.processor_time else _wall_time

    @cached_property
    def ours(self) -> Server:
        """The predictor."""
        return self.start("predictor")

    @cached_property
    def stock(self) -> Server:
        """KServe's own server."""
        return self.start("stock")

    def start(self, name: str, environment: Mapping[str, str] | None = None) -> Server:
        """Return a server that ends with the benchmark; it is started when it is first asked for."""
        if name not in self.servers:
            self.servers[name] = self.stack.enter_context(running(name, self.folder, environment))
        return self.servers[name]

    def pair(self, work: str, ours: Measure, theirs: Measure, *, least: float | None = None) -> float:
        """Measure two alternately; returns our median."""
        return self.table.row(work, [(ours(), theirs()) for _ in range(self.rounds)], least=least)

    def limit(self, work: str, measured: float, allowed: float) -> None:
        """Add a row for what may be no more than is allowed."""
        self.table.row(f"{work} | allowed", [(measured, allowed)], most=1)

    def rate(
        self, server: Server, path: str, body: bytes, headers: dict[str, str], more: str = ""
    ) -> Measure:
        """A measurement of requests a second; ``more``: lines for the script of wrk."""
        return self.timed(
            server, lambda: self.seconds * server.rate(path, body, headers, self.folder, self.seconds, more)
        )

    def timed(self, server: Server, work: Callable[[], float]) -> Measure:
        """A measurement of how much is done a second, from work that returns how much it did."""

        def measure() -> float:
            started = self.clock(server)
            done = work()
            return done / (self.clock(server) - started)

        return measure


def _wall_time(_server: Server | None) -> float:
    return time.perf_counter()


def _processor_time(server: Server | None) -> float:
    """The processor time of a server; of this process without one."""
    return server.processor_seconds() if server else time.process_time()
