"""Reports a rollout: on the screen, as Events of the InferenceService, in the registry, and for metrics."""

import json
from datetime import UTC, datetime

from components.operations.rollout.api import Api
from components.operations.rollout.decisions import Decisions
from components.registry.registry import Registry

SERVED = "served"
NOT_SERVED = "not served"


class Journal:
    """Writes messages and Events, and a version's outcome to the registry and as the last decision."""

    def __init__(self, api: Api, namespace: str, name: str, registry: Registry, who: str) -> None:
        self._registry = registry
        self._decisions = Decisions(api, namespace, name, "linear-regressor-rollout", who)

    def say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Print a message and create an Event. A rollout goes on if the Event can't be created.

        Args:
            reason: one word in camel case, as in Kubernetes.
            message: what happened, and why.
            warning: whether the Event is a warning.
        """
        print(f"{reason}: {message}", flush=True)
        self._decisions.event(reason, message, warning=warning)

    def record(self, version: str, outcome: str, *reasons: str) -> None:
        """Write how a version's rollout ended."""
        if version.isdecimal():
            at = datetime.now(UTC).isoformat(timespec="seconds")
            entry = {"outcome": outcome, "reasons": list(reasons), "at": at}
            self._registry.note(int(version), "rollout", json.dumps(entry))
        self._decisions.note("rollout", outcome, version, reasons)

    def report_gate(self) -> None:
        """Write the gate's last decision, and which version is the champion, if either has changed."""
        champion, judged = self._registry.champion(), next(self._registry.decisions(), None)
        if champion is None or judged is None:
            return
        version, decision = judged
        outcome = "promoted" if decision.promote else "refused"
        about = ("gate", outcome, str(version.number), decision.reasons)
        if self._decisions.note_change(*about, champion=str(champion.number)):
            reason = "CandidatePromoted" if decision.promote else "CandidateRefused"
            self.say(reason, f"version {version.number}: {'; '.join(decision.reasons)}")
