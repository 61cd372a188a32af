"""Shows one line for each step on the screen; everything that steps print goes to a log."""

import builtins
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROUND_OFF = 10
INDENT = "    "
EXCEPTION = re.compile(r" *[\w.]*(Error|Exception)\b(: |$)")
# The class of an error of our own, whose message says all.
OWN_ERROR = re.compile(r"^(components|predictor)(\.\w+)+: ")


@contextmanager
def shown(screen: TextIO, log: TextIO) -> Iterator["Progress"]:
    """Show the steps of a local run while it runs.

    For each step kfp.local replaces ``print`` and the root logger's level and handlers, and restores what it
    found. Shards run in threads and may find each other's. The level is therefore set before, and all three
    are restored at the end.
    """
    root = logging.getLogger()
    level, handlers, said = root.level, root.handlers[:], builtins.print
    progress = Progress(screen, log)
    root.addFilter(progress)
    root.setLevel(logging.INFO)
    try:
        yield progress
    finally:
        root.removeFilter(progress)
        root.setLevel(level)
        root.handlers[:] = handlers
        builtins.print = said


class Progress(logging.Filter):
    """Filters kfp.local's records about its tasks out of the root logger, and shows one line for each step.

    Shards run in threads, so a record belongs to the step of its thread. If another release of kfp words its
    messages differently, the lines are missing, and nothing else.
    """

    def __init__(self, screen: TextIO, log: TextIO) -> None:
        super().__init__()
        self.step = ""
        self._screen = screen
        self._log = log
        self._start = 0
        self._running: dict[int | None, tuple[str, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Show what a record says about a step, and drop the record."""
        message = re.sub(r"\x1b\[\d+m", "", record.getMessage())
        if started := re.match(r"Executing task '(.+)'", message):
            self.step, self._start = started[1], self._log.tell()
            self._running[record.thread] = (self.step, time.monotonic(), self._start)
            if self._screen.isatty():
                self._show(f"{self.step:<10} ...\r")
        elif ended := re.match(r"Task '.+' finished with status (SUCCESS|FAILURE)", message):
            step, since, start = self._running.pop(record.thread, (self.step, time.monotonic(), self._start))
            outcome = ""
            if ended[1] == "FAILURE":
                self.step, self._start, outcome = step, start, "  failed"
            self._show(f"{step:<10}{time.monotonic() - since:6.1f} s{outcome}\n")
        return False

    def _show(self, text: str) -> None:
        """Write and flush, without ``print``, which kfp.local replaces."""
        self._screen.write(text)
        self._screen.flush()

    def reason(self) -> str:
        """Return the message of the exception that ended the present step, or its last lines."""
        self._log.flush()
        with Path(self._log.name).open(encoding="utf-8") as log:
            log.seek(self._start)
            lines = [line.rstrip() for line in log]
        lines = [line for line in lines if line.strip(" -")]
        traces = [number for number, line in enumerate(lines) if line.lstrip().startswith("Traceback ")]
        if not traces:
            return "\n".join(line.removeprefix(INDENT) for line in lines[-ROUND_OFF:])
        # kfp.local indents what a step prints, and more than once if shards print at the same time.
        frames = lines[traces[-1] + 1 :]
        message = next((number for number, line in enumerate(frames) if EXCEPTION.match(line)), 0)
        indent = " " * (len(frames[message]) - len(frames[message].lstrip()))
        said = "\n".join(line.removeprefix(indent) for line in frames[message:])
        return OWN_ERROR.sub("", said)
