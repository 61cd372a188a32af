"""Steady requests of the job's own: every instance is asked of stable and canary, without a second try."""

import json
import math
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from components.operations.rollout.errors import ApiError
from components.operations.rollout.judge import Answer, Exchange
from components.operations.rollout.pods import Pod, Reach

# So many that slow answers do not slow the questions down.
WORKERS = 64
# A canary whose node is gone is found out by this, while it costs its share.
TIMEOUT = 3.0


class Probing(Protocol):
    """Probes under way."""

    def aim(self, stable: Sequence[Pod], canary: Sequence[Pod]) -> None:
        """Say which pods are asked from now on."""

    def seen(self) -> list[Exchange]:
        """What was exchanged until now."""


class Prober:
    """Asks pods one after the other, as a gateway does.

    Args:
        reach: the way to the pods.
        rate: instances a second.
    """

    def __init__(self, reach: Reach, rate: float) -> None:
        self._reach = reach
        self._rate = rate

    @contextmanager
    def running(self, ranges: Sequence[tuple[float, float]]) -> Iterator[Probing]:
        """Probe until the end of the ``with``.

        Args:
            ranges: in which the instances lie, for each feature.
        """
        probes = _Probes(self._reach, self._rate, ranges)
        threads = [threading.Thread(target=probes.work, args=(n,), daemon=True) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            yield probes
        finally:
            # Not joined: a question that nobody answers must not hold up who takes the weight back.
            probes.ended.set()


class _Probes(Probing):
    def __init__(self, reach: Reach, rate: float, ranges: Sequence[tuple[float, float]]) -> None:
        self.ended = threading.Event()
        self._reach = reach
        self._pause = WORKERS / rate
        self._ranges = ranges
        self._aims: tuple[Sequence[Pod], Sequence[Pod]] = ((), ())
        self._exchanges: list[Exchange] = []

    def aim(self, stable: Sequence[Pod], canary: Sequence[Pod]) -> None:
        self._aims = (tuple(stable), tuple(canary))

    def seen(self) -> list[Exchange]:
        return list(self._exchanges)

    def work(self, number: int) -> None:
        """Ask until the end, in step with the other workers."""
        chance = random.Random(number)  # noqa: S311 - instances, not secrets
        turn = number
        due = time.monotonic() + number * self._pause / WORKERS
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause, time.monotonic())
            stable, canary = self._aims
            if not stable and not canary:
                continue
            instance = [chance.uniform(low, high) for low, high in self._ranges]
            body = json.dumps({"instance": instance}).encode()
            # Who is asked first has cold caches: each in turn.
            if turn % 2:
                theirs, ours = self._ask(canary, turn, body), self._ask(stable, turn, body)
            else:
                ours, theirs = self._ask(stable, turn, body), self._ask(canary, turn, body)
            self._exchanges.append(Exchange(stable=ours, canary=theirs))
            turn += 1

    def _ask(self, pods: Sequence[Pod], turn: int, body: bytes) -> Answer:
        if not pods:
            return Answer(0.0, None)
        start = time.perf_counter()
        try:
            status, content = self._reach.ask(pods[turn % len(pods)], "POST", "/stream", body, TIMEOUT)
            value = _prediction(content) if status == 200 else None
        except (ApiError, ValueError, TypeError, KeyError):
            value = None
        return Answer(time.perf_counter() - start, value)


def _prediction(content: bytes) -> float:
    """Read an answer; raises one of Python's own errors where it is none."""
    value = json.loads(content)["prediction"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a prediction is a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
