"""Reports a rollout: on the screen, as Events of the InferenceService, and in the registry."""

import json
import sys
from datetime import UTC, datetime

from components.operations.rollout.api import Api
from components.operations.rollout.errors import ApiError
from components.registry.registry import Registry

SERVED = "served"
NOT_SERVED = "not served"


class Journal:
    """Writes messages and Events, and a version's outcome to the registry."""

    def __init__(self, api: Api, namespace: str, name: str, registry: Registry, who: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._registry = registry
        self._who = who

    def say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Print a message and create an Event. A rollout goes on if the Event can't be created.

        Args:
            reason: one word in camel case, as in Kubernetes.
            message: what happened, and why.
            warning: whether the Event is a warning.
        """
        print(f"{reason}: {message}", flush=True)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{self._name}-rollout-", "namespace": self._namespace},
            "involvedObject": {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "name": self._name,
                "namespace": self._namespace,
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:1000],
            "source": {"component": "linear-regressor-rollout", "host": self._who},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._api.post(f"/api/v1/namespaces/{self._namespace}/events", event)
        except ApiError as error:
            print(f"the Event could not be created: {error}", file=sys.stderr, flush=True)

    def record(self, version: str, outcome: str, *reasons: str) -> None:
        """Write to the registry how a version's rollout ended."""
        if version.isdecimal():
            at = datetime.now(UTC).isoformat(timespec="seconds")
            entry = {"outcome": outcome, "reasons": list(reasons), "at": at}
            self._registry.note(int(version), "rollout", json.dumps(entry))
