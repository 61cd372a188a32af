"""The largest bodies allowed: the memory they take, and how fast probes are answered meanwhile."""

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import zstandard

from tests.support.arrow import arrow_stream
from tests.support.http import Connection, head, post
from tests.support.server import NAME, Server, start_predictor

ROWS = 1_000_000
CLIENTS = 16
MEMORY = 256 * 2**20
"""Bytes that connections and bodies may take on top of the idle process."""
PROBE_SECONDS = 0.05
CUT_OFF = 0
"""Instead of a status: the server refused the body and closed the connection while the client still sent."""
INFER = f"/v2/models/{NAME}/infer"
LENGTH = "Inference-Header-Content-Length"
_PROBE = head("/v2/health/ready", method="GET")

Body = tuple[str, bytes, dict[str, str]]
"""A path, a body for it, and the headers that describe the body."""


def start(stack: contextlib.ExitStack, **settings: Any) -> Server:
    """Start a predictor that ends with the stack."""
    # To open and use thousands of connections one by one may take longer than they may be idle.
    return stack.enter_context(start_predictor(flags=["--timeout-keep-alive", "3600"], **settings))


def largest() -> Iterator[tuple[str, Body]]:
    """Yield a body of a million rows in each format, and small ones that decompress to as many."""
    values = np.random.default_rng(0).uniform(-0.1, 0.2, ROWS)
    numbers = ",".join(f"{value:.6f}" for value in values)
    rows = f'{{"instances":[{numbers}]}}'.encode()
    yield "JSON", ("/batch", rows, {})
    yield "JSON, rows", ("/batch", b'{"instances":[[%b]]}' % numbers.replace(",", "],[").encode(), {})
    yield "V1", (f"/v1/models/{NAME}:predict", rows, {})
    tensor = f'{{"inputs":[{{"name":"instances","shape":[{ROWS},1],"datatype":"FP64",'
    yield "V2", (INFER, f'{tensor}"data":[{numbers}]}}]}}'.encode(), {})
    json_part = f'{tensor}"parameters":{{"binary_data_size":{8 * ROWS}}}}}]}}'.encode()
    yield (
        "V2, binary",
        (INFER, json_part + values.tobytes(), {LENGTH: str(len(json_part))}),
    )
    yield "CSV", ("/batch", numbers.replace(",", "\n").encode(), {"Content-Type": "text/csv"})
    arrow = {"Content-Type": "application/vnd.apache.arrow.stream"}
    yield "Arrow", ("/batch", arrow_stream({"bmi": values}), arrow)
    zeros = b'{"instances":[' + b"0," * (ROWS - 1) + b"0]}"
    yield "gzip", ("/batch", gzip.compress(zeros, 1), {"Content-Encoding": "gzip"})
    yield "zstd", ("/batch", zstandard.compress(zeros), {"Content-Encoding": "zstd"})
    yield "no JSON", ("/batch", b"[" * (31 * 2**20), {})


def bodies(stack: contextlib.ExitStack) -> bool:
    """Send the largest bodies from many clients at once; returns whether memory stayed within its bound."""
    server = start(stack)
    idle, held = server.memory(), True
    for name, body in largest():
        statuses: list[int] = []
        with _sampled(server.memory) as samples:
            clients = [threading.Thread(target=_ask, args=(server, body, statuses)) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        grown = max(samples) - idle
        print(
            f"bodies: {name}, {len(body[1]) / 1e6:.1f} MB, {counts}, memory {grown / 2**20:+.0f} MiB",
            flush=True,
        )
        held = (
            held and grown < MEMORY and len(statuses) == CLIENTS and set(counts) <= {200, 400, 503, CUT_OFF}
        )
    server.end()
    return held


def probes(stack: contextlib.ExitStack) -> bool:
    """Probe readiness while a million rows are computed; returns whether each probe was answered in time."""
    server = start(stack)
    held = True
    for name, body in largest():
        statuses: list[int] = []
        waited: list[float] = []
        client = threading.Thread(target=_ask, args=(server, body, statuses))
        with server.connect() as connection:
            client.start()
            while client.is_alive():
                sent = time.perf_counter()
                connection.send(_PROBE)
                held = connection.read_response().status == 200 and held
                waited.append(time.perf_counter() - sent)
                client.join(0.001)
        slowest = max(waited)
        print(f"probes: {name}, {len(waited):,} answered, the slowest in {slowest * 1e3:.0f} ms", flush=True)
        held = held and slowest <= PROBE_SECONDS
    server.end()
    return held


def _ask(server: Server, body: Body, statuses: list[int]) -> None:
    path, content, headers = body
    fields = {"Content-Type": "application/json"} | headers
    with Connection(server.port, timeout=120) as connection:
        try:
            connection.send(post(path, content, fields))
            statuses.append(connection.read_response().status)
        except ConnectionError:
            statuses.append(CUT_OFF)


@contextlib.contextmanager
def _sampled(measure: Callable[[], int]) -> Iterator[list[int]]:
    """Measure a hundred times a second."""
    samples, stopped = [measure()], threading.Event()

    def sample() -> None:
        while not stopped.wait(0.01):
            samples.append(measure())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stopped.set()
        thread.join()
