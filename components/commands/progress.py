"""One line a step on the screen, everything the steps say in a log."""

import logging
import re
import time
from pathlib import Path
from typing import TextIO

ROUND_OFF = 10


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
                print(f"{self.step:<10} ...", end="\r", file=self._screen, flush=True)
        elif ended := re.match(r"Task '.+' finished with status (SUCCESS|FAILURE)", message):
            step, since, start = self._running.pop(record.thread, (self.step, time.monotonic(), self._start))
            outcome = ""
            if ended[1] == "FAILURE":
                self.step, self._start, outcome = step, start, "  failed"
            print(f"{step:<10}{time.monotonic() - since:6.1f} s{outcome}", file=self._screen, flush=True)
        return False

    def reason(self) -> str:
        """The message of the exception that ended the present step, or the last it said."""
        self._log.flush()
        with Path(self._log.name).open(encoding="utf-8") as log:
            log.seek(self._start)
            lines = [line.removeprefix("    ").rstrip() for line in log]
        lines = [line for line in lines if line.strip("-")]
        traces = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
        if not traces:
            return "\n".join(lines[-ROUND_OFF:])
        frames = lines[traces[-1] + 1 :]
        message = next((number for number, line in enumerate(frames) if not line.startswith(" ")), 0)
        return "\n".join(frames[message:])
