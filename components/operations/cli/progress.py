"""One line a step on the screen, everything the steps say in a log."""

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


@contextmanager
def shown(screen: TextIO, log: TextIO) -> Iterator["Progress"]:
    """Show the steps of a local run as they go.

    For each step kfp.local replaces ``print`` and the root logger's level and handlers, and puts back what it
    found; shards, in threads, find what the others put there. So the level is the wanted one beforehand, and
    all three are put right at the end.
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
    """Takes what kfp.local logs about its tasks off the root logger, and tells it in one line a step.

    Shards are ingested in threads, a few at a time: what a record is about is told by its thread. Should
    another release of kfp word its messages differently, the lines are missing and nothing else.
    """

    def __init__(self, screen: TextIO, log: TextIO) -> None:
        super().__init__()
        self.step = ""
        self._screen = screen
        self._log = log
        self._start = 0
        self._running: dict[int | None, tuple[str, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep no record: what matters of it is shown here."""
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
        """Write at once, and not by ``print``, which kfp.local replaces."""
        self._screen.write(text)
        self._screen.flush()

    def reason(self) -> str:
        """The message of the exception that ended the present step, or the last it said."""
        self._log.flush()
        with Path(self._log.name).open(encoding="utf-8") as log:
            log.seek(self._start)
            lines = [line.rstrip() for line in log]
        lines = [line for line in lines if line.strip(" -")]
        traces = [number for number, line in enumerate(lines) if line.lstrip().startswith("Traceback ")]
        if not traces:
            return "\n".join(line.removeprefix(INDENT) for line in lines[-ROUND_OFF:])
        # kfp.local indents what a step prints, and more than once what shards print side by side.
        frames = lines[traces[-1] + 1 :]
        message = next((number for number, line in enumerate(frames) if EXCEPTION.match(line)), 0)
        indent = " " * (len(frames[message]) - len(frames[message].lstrip()))
        return "\n".join(line.removeprefix(indent) for line in frames[message:])
