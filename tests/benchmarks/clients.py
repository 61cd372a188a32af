"""A client for what wrk does not do: records on one connection."""

import contextlib
import os
import threading
from collections.abc import Iterator

from tests.benchmarks.servers import CLIENT_CORE
from tests.support.http import Connection


def records(port: int, request: bytes, count: int) -> float:
    """Send records on one connection; returns how many were answered.

    Raises:
        RuntimeError: not all of them were.
    """
    with on_core(CLIENT_CORE):
        answered = _duplex(port, request).count(b"}\n")
    if answered != count:
        raise RuntimeError(f"{answered} of {count} records were answered")
    return answered


def _duplex(port: int, request: bytes) -> bytes:
    """Send a request and read its answer at the same time: both are longer than the buffers between."""
    with Connection(port, timeout=120) as connection:
        sender = threading.Thread(target=connection.send, args=(request,))
        sender.start()
        answer = connection.read_until_closed()
        sender.join()
        return answer


@contextlib.contextmanager
def on_core(core: str) -> Iterator[None]:
    """Keep this process on a core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
