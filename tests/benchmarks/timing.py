"""Timing two pieces of work against each other."""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Any]
# Below this many seconds a run is shorter than what disturbs it, and the best run says most.
SHORT = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One claim: what was measured against what, and whether it holds."""

    work: str
    reference: str
    ours: str
    theirs: str
    measured: str
    threshold: str
    holds: bool

    def __str__(self) -> str:
        """Write the row with its verdict."""
        verdict = "ok" if self.holds else "MISSED"
        cells = (self.work, self.ours, self.reference, self.theirs, self.measured, self.threshold, verdict)
        return " | ".join(cells)


def alternate(ours: Work, theirs: Work, rounds: int) -> tuple[float, float]:
    """Run both in turn, so that both meet the same disturbances; returns seconds of each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, times in zip((ours, theirs), seconds, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return typical(seconds[0]), typical(seconds[1])


def typical(seconds: list[float]) -> float:
    """The minimum of short runs, the median of long ones."""
    return min(seconds) if min(seconds) < SHORT else statistics.median(seconds)


def extra_memory(work: Work) -> int:
    """Return the peak of what Python and numpy allocate while working, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def duration(seconds: float) -> str:
    """Write seconds for people."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
