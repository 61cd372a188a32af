"""Writes the last decisions where operators find them: Events, and a ConfigMap that the pods export.

The ConfigMap ``NAME-decisions`` has an entry for each kind of decision, ``gate.json``, ``rollout.json`` and
``retraining.json``. The predictor's pods mount it, and have it as metrics: a job ends before Prometheus could
scrape it. ``predictor/observability/decisions.py`` reads the entries.
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from components.operations.rollout.api import Api
from components.operations.rollout.errors import ApiError

LONGEST_MESSAGE = 1000


class Decisions:
    """The decisions on one InferenceService. What can't be written is only said: no job fails for it.

    Args:
        api: the connection to Kubernetes.
        namespace: of the InferenceService.
        name: of the InferenceService.
        component: what decides, for the Events: ``linear-regressor-rollout``.
        host: which of its processes.
    """

    def __init__(self, api: Api, namespace: str, name: str, component: str, host: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._source = {"component": component, "host": host}
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{name}-decisions"

    def event(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Create an Event of the InferenceService.

        Args:
            reason: one word in camel case, as in Kubernetes.
            message: what happened, and why.
            warning: whether the Event is a warning.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{self._name}-{self._source['component'].rpartition('-')[2]}-",
                "namespace": self._namespace,
            },
            "involvedObject": {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "name": self._name,
                "namespace": self._namespace,
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
            "source": self._source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._api.post(f"/api/v1/namespaces/{self._namespace}/events", event)
        except ApiError as error:
            print(f"the Event could not be created: {error}", file=sys.stderr, flush=True)

    def note(self, kind: str, outcome: str, version: str, reasons: Sequence[str], **more: Any) -> None:
        """Write a decision to the ConfigMap, with the present time.

        Args:
            kind: ``gate``, ``rollout`` or ``retraining``.
            outcome: in a word or two.
            version: that was decided about.
            reasons: for people.
            more: further entries, as JSON; numbers that are not finite become null.
        """
        entry = {"outcome": outcome, "version": version, "at": time.time(), "reasons": list(reasons), **more}
        self._write(kind, entry)

    def note_change(self, kind: str, outcome: str, version: str, reasons: Sequence[str], **more: Any) -> bool:
        """Write a decision if it is not what the ConfigMap has already; returns whether it is another one.

        A decision of which only a further entry has changed is written, but is no other one.
        """
        try:
            data = self._api.get(self._path).get("data") or {}
            known = json.loads(data.get(f"{kind}.json", "{}"))
        except (ApiError, ValueError) as error:
            print(f"the last decisions could not be read: {error}", file=sys.stderr, flush=True)
            return False
        entry = {"outcome": outcome, "version": version, "reasons": list(reasons), **more}
        if {**known, **entry} == known:
            return False
        other = (known.get("outcome"), known.get("version")) != (outcome, version)
        self._write(kind, {**entry, "at": time.time() if other else known.get("at", time.time())})
        return other

    def _write(self, kind: str, entry: Mapping[str, Any]) -> None:
        text = json.dumps(_finite(entry), ensure_ascii=False, indent=1, sort_keys=True)
        try:
            self._api.patch(self._path, {"data": {f"{kind}.json": text}})
        except ApiError as error:
            print(f"the decision could not be written: {error}", file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
