"""The largest bodies there may be: the memory that they take, and the probes that are answered meanwhile."""

import contextlib
import gzip
import http.client
import io
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import zstandard

from tests.hold.process import MEMORY, Predictor

ROWS = 1_000_000
CLIENTS = 16
PROBE_SECONDS = 0.05
CUT_OFF = 0
"""Instead of a status: a client that sent on after a refusal in the midst of its body, and read no answer."""
INFER = "/v2/models/linear-regressor/infer"

Body = tuple[str, bytes, dict[str, str]]
"""A path, what is sent there, and the headers that say what it is."""


def largest() -> Iterator[tuple[str, Body]]:
    """A body of a million rows in each form that there is, and small ones that become as large."""
    values = np.random.default_rng(0).uniform(-0.1, 0.2, ROWS)
    numbers = ",".join(f"{value:.6f}" for value in values)
    rows = f'{{"instances":[{numbers}]}}'.encode()
    yield "JSON", ("/batch", rows, {})
    yield "JSON, rows", ("/batch", b'{"instances":[[%b]]}' % numbers.replace(",", "],[").encode(), {})
    yield "V1", ("/v1/models/linear-regressor:predict", rows, {})
    tensor = f'{{"inputs":[{{"name":"instances","shape":[{ROWS},1],"datatype":"FP64",'
    yield "V2", (INFER, f'{tensor}"data":[{numbers}]}}]}}'.encode(), {})
    head = f'{tensor}"parameters":{{"binary_data_size":{8 * ROWS}}}}}]}}'.encode()
    yield "V2, binary", (INFER, head + values.tobytes(), {"Inference-Header-Content-Length": str(len(head))})
    yield "CSV", ("/batch", numbers.replace(",", "\n").encode(), {"Content-Type": "text/csv"})
    out = io.BytesIO()
    table = pa.table({"bmi": values})
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    yield "Arrow", ("/batch", out.getvalue(), {"Content-Type": "application/vnd.apache.arrow.stream"})
    zeros = b'{"instances":[' + b"0," * (ROWS - 1) + b"0]}"
    yield "gzip", ("/batch", gzip.compress(zeros, 1), {"Content-Encoding": "gzip"})
    yield "zstd", ("/batch", zstandard.compress(zeros), {"Content-Encoding": "zstd"})
    yield "no JSON", ("/batch", b"[" * (31 * 2**20), {})


def bodies(stack: contextlib.ExitStack) -> bool:
    """Send the largest bodies from many clients at once; tells whether memory stayed within its bound."""
    server = Predictor(stack, drain_seconds="0")
    idle, held = server.memory(), True
    for name, body in largest():
        statuses: list[int] = []
        with _sampled(server.memory) as seen:
            clients = [threading.Thread(target=_ask, args=(server, body, statuses)) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        grown = max(seen) - idle
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
    """Ask for readiness while a million rows are computed; tells whether every probe was answered in time."""
    server = Predictor(stack, drain_seconds="0")
    held = True
    for name, body in largest():
        statuses: list[int] = []
        waited: list[float] = []
        client = threading.Thread(target=_ask, args=(server, body, statuses))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        client.start()
        while client.is_alive():
            asked = time.perf_counter()
            connection.request("GET", "/v2/health/ready")
            answer = connection.getresponse()
            answer.read()
            held = held and answer.status == 200
            waited.append(time.perf_counter() - asked)
            time.sleep(0.001)
        slowest = max(waited)
        print(f"probes: {name}, {len(waited):,} answered, the slowest in {slowest * 1e3:.0f} ms", flush=True)
        held = held and slowest <= PROBE_SECONDS
        connection.close()
    server.end()
    return held


def _ask(server: Predictor, body: Body, statuses: list[int]) -> None:
    path, content, headers = body
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    kind = {"Content-Type": "application/json"}
    with contextlib.closing(connection):
        try:
            connection.request("POST", path, content, kind | headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        except ConnectionError:
            statuses.append(CUT_OFF)


@contextlib.contextmanager
def _sampled(measure: Callable[[], int]) -> Iterator[list[int]]:
    """What is measured a hundred times a second meanwhile."""
    seen, stopped = [measure()], threading.Event()

    def sample() -> None:
        while not stopped.wait(0.01):
            seen.append(measure())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join()
