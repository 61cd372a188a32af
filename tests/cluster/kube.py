"""Run kubectl and other commands, and wait for the cluster."""

import json
import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

from tests.support.processes import wait_until

Object = dict[str, Any]
T = TypeVar("T")


class CommandError(RuntimeError):
    """A command failed; the message has its output."""


def run(*command: str, stdin: str | bytes | None = None, timeout: float = 300) -> str:
    """Run a command and return its output.

    Raises:
        CommandError: it exited with another status than 0.
    """
    content = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, input=content, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout.decode()


def kubectl(*arguments: str, stdin: str | bytes | None = None, timeout: float = 300) -> str:
    """Run kubectl."""
    return run("kubectl", *arguments, stdin=stdin, timeout=timeout)


def get(*arguments: str) -> Object:
    """Return the JSON output of ``kubectl get``."""
    found: Object = json.loads(kubectl("get", "-o", "json", *arguments))
    return found


def is_ready(item: Object) -> bool:
    """Return whether a pod or node is ready and not being deleted."""
    conditions = {entry["type"]: entry["status"] for entry in item["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in item["metadata"]


def oldest_node() -> str:
    """Return the host name of the node that was created first."""
    node = min(get("nodes")["items"], key=lambda item: str(item["metadata"]["creationTimestamp"]))
    return str(node["metadata"]["labels"]["kubernetes.io/hostname"])


def wait_for(what: str, probe: Callable[[], T], seconds: float = 120, pause: float = 0.5) -> T:
    """Call ``probe`` until it returns something true, and return that; cluster errors count as false."""
    last_error = ""

    def attempt() -> T | None:
        nonlocal last_error
        try:
            return probe()
        except (CommandError, OSError, LookupError, ValueError) as error:
            last_error = f": {error}"
            return None

    try:
        return wait_until(attempt, seconds, what, pause)
    except TimeoutError as error:
        raise TimeoutError(f"{error}{last_error}") from None
