"""The longest callback on the predictor's event loop while it reads the worst form of each body."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import Bench
from tests.benchmarks.clients import on_core
from tests.benchmarks.loop_clock import FILE, Longest, LoopClock
from tests.benchmarks.servers import CLIENT_CORE, PINNED
from tests.support.http import head
from tests.support.server import Server, start_predictor
from tests.support.worst import FORMS, Form, send, write_worst_model
from tests.support.worst.form import LONGEST_BODY

SIZES = (2**10, 2**12, 2**13, 2**14, 2**16, 2**17, 2**19, LONGEST_BODY)
"""Bytes of a request. By default up to 128 KiB are computed on the loop, and more in a thread."""

ALLOWED = 0.01
_TRIES = 5
_SHOWN = 5
_PROBE = head("/v2/health/live", method="GET")
_LAUNCHER = (*PINNED, sys.executable, "-P", str(Path(__file__).with_name("loop_clock.py")))


class Subject:
    """A server whose callbacks are measured."""

    def __init__(self, server: Server, clock: LoopClock) -> None:
        self.server = server
        self.clock = clock

    def longest(self, form: Form, request: bytes) -> Longest:
        """Send a request, and return the longest callback meanwhile."""
        self.clock.take()
        self.send(form, request)
        self._settle()
        return self.clock.take()

    def send(self, form: Form, request: bytes) -> None:
        """Send a request."""
        send(form, request, self.server.port, self.server.grpc_port)

    def _settle(self) -> None:
        """Wait until the callback that sent the answer has ended: a later one is answered."""
        with self.server.connect() as connection:
            connection.send(_PROBE)
            connection.read_response()


def longest_callback(bench: Bench) -> None:
    """The most processor time of one callback, of all forms and sizes, without feedback and with it."""
    feedback = {"feedback_url": str(bench.folder / "feedback")}
    for mode, settings in (("", {}), (", with feedback", feedback)):
        with _subject(bench.folder, settings) as subject, on_core(CLIENT_CORE):
            found = dict(measure(subject.longest, subject.send))
        for longest, text in report(found):
            print(f"# {longest.seconds * 1e3:.1f} ms: {text}: {longest.callback[:100]}")
        worst = max(longest.seconds for longest in found.values())
        bench.limit(f"processor ms of a callback on the loop{mode}", worst * 1e3, ALLOWED * 1e3)


def measure(
    longest: Callable[[Form, bytes], Longest],
    send: Callable[[Form, bytes], None],
    forms: tuple[Form, ...] = FORMS,
) -> Iterator[tuple[tuple[str, int], Longest]]:
    """Measure each form, by its name, in each size, after a request that warms it up."""
    for form in forms:
        send(form, form.request(SIZES[0]))
        for size in SIZES:
            request = form.request(size)
            yield (form.name, size), best(lambda: longest(form, request))  # noqa: B023  called before the next


def best(measured: Callable[[], Longest]) -> Longest:
    """Measure until the result is allowed, at most some times; returns the best.

    The processor's caches and the machine's other work make a callback slower now and then, never quicker.
    """
    found = measured()
    for _ in range(_TRIES - 1):
        if found.seconds <= ALLOWED:
            break
        found = min(found, measured())
    return found


def report(found: dict[tuple[str, int], Longest]) -> list[tuple[Longest, str]]:
    """Return the worst size of each form, longest first: those beyond what is allowed, and the first few."""
    worst: dict[str, tuple[Longest, str]] = {}
    for (name, size), longest in found.items():
        worst[name] = max(worst.get(name, (longest, "")), (longest, f"{name}, {size:,} bytes"))
    ranked = sorted(worst.values(), reverse=True)
    return [pair for i, pair in enumerate(ranked) if i < _SHOWN or pair[0].seconds > ALLOWED]


@contextlib.contextmanager
def _subject(folder: Path, settings: Mapping[str, Any]) -> Iterator[Subject]:
    file = folder / "loop"
    clock = LoopClock.create(file)
    model = folder / "worst" / "1"
    if not model.exists():
        write_worst_model(model)
    with start_predictor(model, launcher=_LAUNCHER, environment={FILE: str(file)}, **settings) as server:
        yield Subject(server, clock)
