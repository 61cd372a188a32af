"""Deploy a release of the chart, test it at its public address, and roll back what fails."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class DeployError(Exception):
    """What helm refused, or the deployment that failed; ``status`` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


ROLLED_BACK, BROKEN = 3, 4
"""Exit statuses: the earlier revision serves again; or it does not, and somebody has to look."""

PAUSE = 5.0
"""Seconds between two tests of a revision that was rolled back to."""


@dataclass(frozen=True)
class Helm:
    """A release of helm, which is not a release of the software.

    Attributes:
        name: of the release.
        namespace: of the release.
        run: runs a command; subprocess.run.
    """

    name: str
    namespace: str
    run: Run = subprocess.run

    def revisions(self) -> tuple[int | None, int | None]:
        """Return the newest revision, whatever became of it, and the one that is deployed."""
        listed = self._call("list", "--filter", f"^{self.name}$", "--all", "--output", "json", named=False)
        if not json.loads(listed):
            return None, None
        history: list[dict[str, Any]] = json.loads(self._call("history", "--output", "json"))
        deployed = [entry["revision"] for entry in history if entry["status"] == "deployed"]
        return max(entry["revision"] for entry in history), max(deployed, default=None)

    def upgrade(self, chart: str, version: str, values: list[Path]) -> None:
        """Install or upgrade to a chart; its defaults count where the values name nothing else."""
        words = [word for file in values for word in ("--values", str(file))]
        self._call("upgrade", chart, *_version(version), *words, "--install", "--reset-values")

    def rollback(self, revision: int) -> None:
        """Go back to a revision."""
        self._call("rollback", str(revision))

    def app_version(self, chart: str, version: str) -> str:
        """Return the version of the software that a chart installs."""
        about = yaml.safe_load(self._call("show", "chart", chart, *_version(version), named=False))
        return str(about["appVersion"])

    def _call(self, command: str, *words: str, named: bool = True) -> str:
        """Run a command of helm; ``named`` ones are about the release."""
        place = ["--namespace", self.namespace] if command != "show" else []
        line = ["helm", command, *([self.name] if named else []), *words, *place]
        done = self.run(line, check=False, capture_output=True, text=True)
        if done.returncode:
            raise DeployError(f"helm {command}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def deploy(
    helm: Helm,
    chart: str,
    version: str,
    values: list[Path],
    smoke: Callable[[str], str | None],
    say: Callable[[str], None] = print,
    seconds: float = 0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Upgrade, test, and roll back if a test fails.

    Args:
        helm: the release.
        chart: a folder, an archive or an address such as oci://registry.example.com/charts/linear-regressor.
        version: of a chart that is an address; empty for others.
        values: files of values.
        smoke: tests what is deployed, given the version of the software to expect (none where it is empty);
            returns the problem, or None.
        say: tells people what happens.
        seconds: how long pods of the later revision may still answer after a rollback.
        clock: the time in seconds.
        sleep: waits for seconds.

    Raises:
        DeployError: helm refused the chart, and nothing was changed (1); the tests failed, and the earlier
            revision serves again (3), or nothing that passes does (4).
    """
    expected = helm.app_version(chart, version)
    newest, before = helm.revisions()
    say(f"Upgrading {helm.name} to release {expected} (revision {before or 'none'} is deployed)")
    try:
        helm.upgrade(chart, version, values)
        problem = smoke(expected)
    except DeployError as error:
        if helm.revisions()[0] == newest:
            raise
        problem = str(error)
    if problem is None:
        say(f"Release {expected} passed")
        return
    say(f"Release {expected} failed: {problem}")
    if before is None:
        raise DeployError("nothing was deployed before, so there is nothing to roll back to", BROKEN)
    say(f"Rolling back to revision {before}")
    try:
        helm.rollback(before)
    except DeployError as error:
        raise DeployError(str(error), BROKEN) from error
    end = clock() + seconds
    while again := smoke(""):
        if clock() >= end:
            raise DeployError(f"revision {before}, which was rolled back to, fails too: {again}", BROKEN)
        sleep(PAUSE)
    raise DeployError(
        f"release {expected} failed, and revision {before} serves again: {problem}", ROLLED_BACK
    )


def _version(version: str) -> list[str]:
    return ["--version", version] if version else []
