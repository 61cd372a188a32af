"""kubectl, as far as the tests need it."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

Object = dict[str, Any]
T = TypeVar("T")


class CommandError(RuntimeError):
    """A command failed: the message holds what it printed."""


def run(*command: str, stdin: str | bytes | None = None, timeout: float = 300) -> str:
    """Run a command and return its output; what a failed one printed is in the error."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, input=given, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout.decode()


def kubectl(*arguments: str, stdin: str | bytes | None = None, timeout: float = 300) -> str:
    """Run kubectl."""
    return run("kubectl", *arguments, stdin=stdin, timeout=timeout)


def get(*arguments: str) -> Object:
    """Return what ``kubectl get`` says, as an object."""
    answer: Object = json.loads(kubectl("get", "-o", "json", *arguments))
    return answer


def wait_for(what: str, probe: Callable[[], T], seconds: float = 120, pause: float = 0.5) -> T:
    """Ask until the answer is true, and return it. While it raises, the answer counts as no."""
    end, last = time.monotonic() + seconds, ""
    while True:
        try:
            if answer := probe():
                return answer
        except (CommandError, OSError, LookupError, ValueError) as error:
            last = f": {error}"
        if time.monotonic() > end:
            raise TimeoutError(f"gave up waiting for {what} after {seconds} s{last}")
        time.sleep(pause)
