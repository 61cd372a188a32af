"""How long library calls keep other threads waiting: calls into C that hold the interpreter's lock."""

import json
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import msgspec
import numpy as np
import orjson
import simdjson
import zstandard
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.benchmarks.bench import Bench
from tests.benchmarks.table import Table

SIZES = (2**16, 2**18, 2**20, 2**23)
_TRIES = 15
_SWITCH = 1e-5
"""Seconds after which a thread must release the lock. Python's default of 5 ms would hide shorter calls."""

Work = Callable[[], object]


def waits(_bench: Bench) -> None:
    """A row for each call and size: how long others wait, against how long the call takes.

    The document shows them in another form, so they are not among the rows that are written into it.
    """
    table = Table()
    print("# calls into C: processor milliseconds that another thread waits | that the call takes")
    for name, size, work in calls():
        waited, taken = (1e3 * seconds for seconds in longest_wait(work))
        table.row(f"lock: {name}, {size} | the call", [(waited, taken)])


def longest_wait(work: Work, tries: int = _TRIES) -> tuple[float, float]:
    """Return how long another thread waits at the longest while ``work`` runs, and how long that takes.

    Both are seconds of the working thread's processor time, of the best of some tries: what else the machine
    does only adds to them.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        return min(_longest_gap(work) for _ in range(tries))
    finally:
        sys.setswitchinterval(interval)


def _longest_gap(work: Work) -> tuple[float, float]:
    """Return the longest time that a thread works between two looks at its clock, and all of its time."""
    watched, looked_on = threading.Event(), threading.Event()
    clocks: SimpleQueue[int] = SimpleQueue()

    def wait_and_work() -> None:
        clocks.put(time.pthread_getcpuclockid(threading.get_ident()))
        watched.wait()
        try:
            work()
        finally:
            worked.set()
            looked_on.wait()  # a thread that has ended has no clock

    worked = threading.Event()
    thread = threading.Thread(target=wait_and_work)
    thread.start()
    clock = clocks.get()
    started = last = time.clock_gettime(clock)
    longest, working = 0.0, True
    watched.set()
    while working:  # with a look after its end: all of the work may have been in one wait
        working = not worked.is_set()
        now = time.clock_gettime(clock)
        longest, last = max(longest, now - last), now
    looked_on.set()
    thread.join()
    return longest, last - started


def calls() -> Iterator[tuple[str, str, Work]]:
    """Yield each call with its name and the size of its input."""
    for size in SIZES:
        yield from _of_text(size)
    for size in SIZES:
        yield from _of_numbers(size // 8)
    for size in SIZES:
        yield from _of_bytes(size)


def _of_text(size: int) -> Iterator[tuple[str, str, Work]]:
    numbers = np.random.default_rng(0).uniform(-1, 1, size // 10).round(6)
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    shown = f"{len(text) / 2**20:.2f} MiB"
    parser, decoder = simdjson.Parser(), msgspec.json.Decoder(list[float])

    def simdjson_buffer() -> None:
        document: Any = parser.parse(text)
        document.as_buffer(of_type="d")

    yield "simdjson, parse and as_buffer", shown, simdjson_buffer
    yield "msgspec, decode list[float]", shown, lambda: decoder.decode(text)
    yield "orjson, loads", shown, lambda: orjson.loads(text)
    yield "json, loads", shown, lambda: json.loads(text)
    yield "bytes.replace", shown, lambda: text.replace(b",", b"],[")


def _of_numbers(count: int) -> Iterator[tuple[str, str, Work]]:
    numbers = np.random.default_rng(0).uniform(-1, 1, count)
    shown = f"{count:,} numbers"
    yield "orjson, dumps", shown, lambda: orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    typed = pb.InferTensorContents(fp64_contents=numbers)
    message = typed.SerializeToString()
    yield "protobuf, parse doubles", shown, lambda: pb.InferTensorContents.FromString(message)
    yield "protobuf, doubles to numpy", shown, lambda: np.array(typed.fp64_contents)
    yield "protobuf, doubles from numpy", shown, lambda: pb.InferTensorContents(fp64_contents=numbers)
    integers = pb.InferTensorContents(int_contents=[1] * count).SerializeToString()
    yield "protobuf, parse integers", shown, lambda: pb.InferTensorContents.FromString(integers)
    raw = pb.ModelInferRequest(raw_input_contents=[numbers.tobytes()]).SerializeToString()
    yield "protobuf, parse raw doubles", shown, lambda: pb.ModelInferRequest.FromString(raw)


def _of_bytes(size: int) -> Iterator[tuple[str, str, Work]]:
    numbers = np.random.default_rng(0).uniform(-1, 1, size // 18)
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    shown = f"{len(text) / 2**20:.2f} MiB"
    zstd, gzip = zstandard.compress(text, 1), zlib.compress(text, 1)
    yield "zstd, compress", shown, lambda: zstandard.ZstdCompressor(level=1).compress(text)
    yield "zstd, decompress", shown, lambda: zstandard.ZstdDecompressor().decompress(zstd)
    yield "zlib, compress", shown, lambda: zlib.compress(text, 1)
    yield "zlib, decompress", shown, lambda: zlib.decompress(gzip)
