"""Runs the predictor, and measures the processor time of each callback on its event loop.

Usage: python -P tests/benchmarks/loop_clock.py python -m predictor [flags]

The longest time, and the callback that took it, are written to the file that ``LOOP_CLOCK`` names. The loop
is asyncio's own rather than uvloop's, whose callbacks can't be measured one by one.
"""

import asyncio
import mmap
import os
import runpy
import struct
import sys
import time
from asyncio import base_events, events
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

FILE = "LOOP_CLOCK"
_RECORD = struct.Struct("d248s")
_NAMED_FROM = 0.001


class Longest(NamedTuple):
    """The callback that took longest: its processor time in seconds, and which it is."""

    seconds: float
    callback: str


class LoopClock:
    """What two processes share: the longest callback since the last look."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _RECORD.size)
        self._longest = memoryview(self._memory)[:8].cast("d")

    @classmethod
    def create(cls, file: Path) -> Self:
        """Make the file."""
        file.write_bytes(bytes(_RECORD.size))
        return cls(file)

    def take(self) -> Longest:
        """Return the longest callback since the last look."""
        seconds, name = _RECORD.unpack_from(self._memory)
        self._memory[:] = bytes(_RECORD.size)
        return Longest(seconds, name.rstrip(b"\0").decode(errors="replace"))

    def measured(self, run: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that runs a handle as ``run`` does, and measures it."""
        longest, clock = self._longest, time.thread_time

        def measure(handle: Any) -> None:
            started = clock()
            run(handle)
            seconds = clock() - started
            if seconds > longest[0]:
                longest[0] = seconds
                if seconds > _NAMED_FROM:
                    name = base_events._format_handle(handle).encode()  # type: ignore[attr-defined]
                    self._memory[8:] = name[:248].ljust(248, b"\0")

        return measure


def main() -> None:
    """Run what the arguments say."""
    clock = LoopClock(Path(os.environ[FILE]))
    setattr(events.Handle, "_run", clock.measured(events.Handle._run))  # noqa: B010  its type is fixed
    import uvloop

    uvloop.run = asyncio.run
    sys.argv = sys.argv[sys.argv.index("predictor") :]
    runpy.run_module("predictor", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
