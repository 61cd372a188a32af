"""One line a step on the screen, everything the steps say in a log."""

import logging
import re
import time
from pathlib import Path
from typing import TextIO

ROUND_OFF = 10


class Progress(logging.Filter):
    """Takes what kfp.local logs about its tasks off the root logger, and tells it in one line a step.

    Should another release of kfp word its messages differently, the lines are missing and nothing else.
    """

    def __init__(self, screen: TextIO, log: TextIO) -> None:
        super().__init__()
        self.step = ""
        self._screen = screen
        self._log = log
        self._since = 0.0
        self._start = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep no record: what matters of it is shown here."""
        message = re.sub(r"\x1b\[\d+m", "", record.getMessage())
        if started := re.match(r"Executing task '(.+)'", message):
            self.step, self._since = started[1], time.monotonic()
            self._start = self._log.tell()
            print(f"{self.step:<10}", end="", file=self._screen, flush=True)
        elif ended := re.match(r"Task '.+' finished with status (SUCCESS|FAILURE)", message):
            outcome = "" if ended[1] == "SUCCESS" else "  failed"
            print(f"{time.monotonic() - self._since:6.1f} s{outcome}", file=self._screen, flush=True)
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
