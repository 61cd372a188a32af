"""The objects that a rollout reads and changes."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from components.data.probes import Probes as RecordedProbes
from components.operations.rollout.clock import Clock
from components.operations.rollout.errors import RolloutError
from components.operations.rollout.journal import Journal
from components.operations.rollout.lease import Lease
from components.operations.rollout.predictor import Predictor
from components.operations.rollout.probes import Probing, Rows
from components.operations.rollout.release import Release
from components.operations.rollout.routes import Routes
from components.registry.index import PROBES, Version
from components.registry.registry import Registry


class Probes(Protocol):
    """Sends probes."""

    def running(self, stable: Rows, canary: Rows) -> AbstractContextManager[Probing]:
        """Probe both versions with these rows until the end of the ``with``."""


@dataclass(frozen=True, slots=True)
class Site:
    """One service in one cluster, and the registry of its model."""

    stable: Predictor
    canary: Predictor
    routes: Routes
    lease: Lease
    registry: Registry
    journal: Journal
    prober: Probes
    clock: Clock

    def release(self, version: Version) -> Release:
        """Return the release of a registered version.

        The URI ends with a slash: without one KServe takes it for a prefix, and gives pods of version 1 the
        files of version 10 as well.
        """
        uri = self.registry.uri(version).rstrip("/") + "/"
        return Release(str(version.number), version.digest, uri)

    def registered(self, release: Release) -> Version | None:
        """Return the registered version of a release; None if the release was set by hand."""
        number = int(release.version) if release.version.isdecimal() else 0
        return self.registry.version(number) if self.registry.has(number) else None

    def probes(self, release: Release) -> RecordedProbes | None:
        """Return the probes recorded for a release; None if there are none.

        Raises:
            RolloutError: the recorded probes can't be read.
        """
        version = self.registered(release)
        text = version.tags.get(PROBES, "") if version else ""
        try:
            return RecordedProbes.from_json(text) if text else None
        except ValueError as error:
            raise RolloutError(f"the probes recorded for {release} can't be read: {error}") from error

    def champion(self) -> Release:
        """Return the registry's champion.

        Raises:
            RolloutError: there is none, or it was withdrawn.
        """
        self.registry.settle()
        champion = self.registry.champion()
        if champion is None:
            raise RolloutError("the registry has no champion")
        if champion.withdrawn:
            raise RolloutError(
                f"the champion, version {champion.number}, was withdrawn: {champion.withdrawn}"
            )
        return self.release(champion)
