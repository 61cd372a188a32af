"""The canary's share of the requests and its progress, both written to the routes in one patch.

The progress is an annotation of the HTTPRoute. A weight is never set without it, so that any later job knows
which version has the weight, and until when.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from components.operations.rollout.api import Api, Object
from components.operations.rollout.errors import ApiError, RolloutError
from components.operations.rollout.release import Release

STATE = "linear-regressor/rollout"
API = "/apis/gateway.networking.k8s.io/v1/namespaces"


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a canary.

    Attributes:
        release: the canary's.
        step: its present step, from 0; the number of steps once it has passed all.
        attempts: how often this step was begun.
        deadline: when its weight expires, in seconds since the epoch.
        failed: why it is being rolled back; empty otherwise.
    """

    release: Release
    step: int = 0
    attempts: int = 0
    deadline: float = 0.0
    failed: str = ""

    def but(self, **changes: Any) -> "Progress":
        """Return a copy with some attributes changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Split:
    """What the routes say about the canary.

    Attributes:
        weight: the largest share of the canary in any rule.
        progress: None if there is no canary.
    """

    weight: int
    progress: Progress | None


class Routes:
    """The HTTPRoute and the GRPCRoute of a service; either may be missing."""

    def __init__(self, api: Api, namespace: str, name: str, canary: str) -> None:
        self._api = api
        self._http = f"{API}/{namespace}/httproutes/{name}"
        self._grpc = f"{API}/{namespace}/grpcroutes/{name}"
        self._stable = f"{name}-predictor"
        self._backend = f"{canary}-predictor"

    def read(self) -> Split:
        """Read the canary's weight and progress.

        Raises:
            RolloutError: the annotation was not written by this job.
        """
        http, grpc = self._get(self._http), self._get(self._grpc)
        text = (http or {}).get("metadata", {}).get("annotations", {}).get(STATE, "")
        weights = [weight for route in (http, grpc) if route for _, weight in self._places(route)]
        return Split(max(weights, default=0), _progress(text) if text else None)

    def weigh(self, weight: int, progress: Progress | None) -> None:
        """Set the canary's weight and progress.

        The HTTPRoute, which has the annotation, is the first to get a weight and the last to lose it.

        Raises:
            RolloutError: the routes have no canary.
        """
        http, grpc = self._get(self._http), self._get(self._grpc)
        if weight and not (http and self._places(http)):
            raise RolloutError(f"no HTTPRoute has {self._backend} as a backend")
        text = json.dumps(asdict(progress)) if progress else ""
        changes = [(self._http, http, text), (self._grpc, grpc, None)]
        for path, route, memory in changes if weight else reversed(changes):
            if route and (change := self._change(route, weight, memory)):
                self._api.patch(path, change)

    def _get(self, path: str) -> Object | None:
        try:
            return self._api.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _places(self, route: Object) -> list[tuple[int, int]]:
        """Return number and canary's weight of each rule that has the canary as a backend."""
        return [
            (number, backend.get("weight", 1))
            for number, rule in enumerate(route["spec"].get("rules", []))
            for backend in rule.get("backendRefs", [])
            if backend["name"] == self._backend
        ]

    def _change(self, route: Object, weight: int, memory: str | None) -> list[Object]:
        """Return the JSON patch; its tests make it fail if the rules have changed since they were read."""
        patch: list[Object] = []
        for i, _ in self._places(route):
            for k, backend in enumerate(route["spec"]["rules"][i]["backendRefs"]):
                path = f"/spec/rules/{i}/backendRefs/{k}"
                share = {self._backend: weight, self._stable: 100 - weight}.get(backend["name"])
                if share is not None and backend.get("weight", 1) != share:
                    patch.append({"op": "test", "path": f"{path}/name", "value": backend["name"]})
                    patch.append({"op": "add", "path": f"{path}/weight", "value": share})
        annotations = route["metadata"].get("annotations", {})
        if memory is not None and annotations.get(STATE, "") != memory:
            if not annotations:
                patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
            place = f"/metadata/annotations/{STATE.replace('/', '~1')}"
            patch.append({"op": "add", "path": place, "value": memory} if memory else _remove(place))
        return patch


def _remove(place: str) -> Object:
    return {"op": "remove", "path": place}


def _progress(text: str) -> Progress:
    try:
        document = json.loads(text)
        return Progress(**{**document, "release": Release(**document["release"])})
    except (ValueError, TypeError, KeyError) as error:
        raise RolloutError(
            f"the annotation {STATE} of the HTTPRoute was not written by this job: {text}"
        ) from error
