"""Sends probes to the stable version and the canary at the same time, without retries."""

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from components.data.probes import Value
from components.operations.rollout.errors import ApiError
from components.operations.rollout.judge import Answer, Exchange
from components.operations.rollout.pods import Pod, Reach

# Enough to keep the rate while answers are slow.
WORKERS = 64
# Seconds. While a canary's node is gone, its share of the requests fails for at least this long.
TIMEOUT = 3.0

Rows = Sequence[Sequence[Value]]


class Probing(Protocol):
    """Probes in progress."""

    def aim(self, stable: Sequence[Pod], canary: Sequence[Pod]) -> None:
        """Set the pods that are probed from now on."""

    def exchanges(self) -> list[Exchange]:
        """Return the probes so far with their answers."""


class Prober:
    """Probes pods in turn, as a gateway does.

    Args:
        reach: the way to the pods.
        rate: probes per second.
    """

    def __init__(self, reach: Reach, rate: float) -> None:
        self._reach = reach
        self._rate = rate

    @contextmanager
    def running(self, stable: Rows, canary: Rows) -> Iterator[Probing]:
        """Probe until the end of the ``with``.

        Args:
            stable: the rows for the stable version, in turn.
            canary: the rows for the canary, whose model may have other inputs.
        """
        probes = _Probes(self._reach, self._rate, stable, canary)
        threads = [threading.Thread(target=probes.work, args=(n,), daemon=True) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            yield probes
        finally:
            # Not joined: an unanswered probe must not delay removing the weight.
            probes.ended.set()


class _Probes(Probing):
    def __init__(self, reach: Reach, rate: float, stable: Rows, canary: Rows) -> None:
        self.ended = threading.Event()
        self._reach = reach
        self._pause = WORKERS / rate
        self._stable, self._canary = ([_body(row) for row in rows] for rows in (stable, canary))
        self._aims: tuple[Sequence[Pod], Sequence[Pod]] = ((), ())
        self._exchanges: list[Exchange] = []

    def aim(self, stable: Sequence[Pod], canary: Sequence[Pod]) -> None:
        self._aims = (tuple(stable), tuple(canary))

    def exchanges(self) -> list[Exchange]:
        return list(self._exchanges)

    def work(self, number: int) -> None:
        """Send probes until the end, in step with the other workers."""
        turn = number
        due = time.monotonic() + number * self._pause / WORKERS
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause, time.monotonic())
            stable, canary = self._aims
            if not stable and not canary:
                continue
            row = turn % len(self._canary)
            requests = (
                (stable, self._stable[turn % len(self._stable)]),
                (canary, self._canary[row]),
            )
            # The first one has cold caches, so the two take turns.
            order = requests[::-1] if (turn // WORKERS) % 2 else requests
            answers = [self._ask(pods, turn, body) for pods, body in order]
            ours, theirs = answers[::-1] if (turn // WORKERS) % 2 else answers
            self._exchanges.append(Exchange(row, stable=ours, canary=theirs))
            turn += WORKERS

    def _ask(self, pods: Sequence[Pod], turn: int, body: bytes) -> Answer:
        if not pods:
            return Answer(0)
        try:
            pod = pods[turn // WORKERS % len(pods)]
            status, content = self._reach.ask(pod, "POST", "/stream", body, TIMEOUT)
        except ApiError:
            return Answer(0)
        return Answer(status, _prediction(content) if status == 200 else None)


def _body(row: Sequence[Value]) -> bytes:
    return json.dumps({"instance": list(row)}).encode()


def _prediction(content: bytes) -> float | None:
    """Return the prediction in an answer; None without a finite one."""
    try:
        value = json.loads(content)["prediction"]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) else None
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
