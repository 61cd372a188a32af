"""Pod status from the Kubernetes API, and what each pod says that it serves."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from components.data.probes import Value
from components.operations.rollout.api import Api, Object
from components.operations.rollout.errors import ApiError
from components.operations.rollout.release import DIGEST, VERSION, Release

PORT = 8080
PROBE = {"X-Request-Id": "rollout-probe"}
"""Names a rollout's own requests, which the predictor neither records nor takes for drift."""
SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a predictor.

    Attributes:
        name: in its namespace.
        address: its IP address; empty before it has one.
        made_for: the release in its annotations.
        serving: whether it is ready and not being deleted.
        ending: whether it is being deleted.
        trouble: why waiting will not make it ready; empty if it may.
    """

    name: str
    address: str
    made_for: Release
    serving: bool
    ending: bool
    trouble: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a pod says that it serves.

    Attributes:
        version: of the model.
        digest: of the model folder.
        examples: some values of each input, in order: from its range in training, or its categories.
    """

    version: str
    digest: str
    examples: tuple[tuple[Value, ...], ...]

    def is_of(self, release: Release) -> bool:
        """Return whether this is the release."""
        return self.version == release.version and release.digest in ("", self.digest)


class Reach(Protocol):
    """A way to a pod's HTTP port."""

    def ask(
        self, pod: Pod, method: str, path: str, body: bytes | None = None, timeout: float = 5.0
    ) -> tuple[int, bytes]:
        """Send one request, without a second try; returns the status and the body.

        Raises:
            ApiError: no answer came.
        """


class Direct(Reach):
    """Requests to the pod's address, from within the cluster.

    Args:
        authorization: the credential for predictions, if the predictor needs one.
    """

    def __init__(self, authorization: str = "") -> None:
        import urllib3

        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **PROBE}
        if authorization:
            self._headers["Authorization"] = authorization
        self._pool = urllib3.PoolManager(num_pools=64, maxsize=64)

    def ask(
        self, pod: Pod, method: str, path: str, body: bytes | None = None, timeout: float = 5.0
    ) -> tuple[int, bytes]:
        """Send it over a connection that stays open."""
        from urllib3.exceptions import HTTPError

        host = f"[{pod.address}]" if ":" in pod.address else pod.address
        url = f"http://{host}:{PORT}{path}"
        try:
            answer = self._pool.request(
                method, url, body=body, headers=self._headers, timeout=timeout, retries=False
            )
        except HTTPError as error:
            raise ApiError(0, f"{pod.name}: {error}") from error
        return answer.status, answer.data


class ThroughApi(Reach):
    """Requests through the API server, from outside of the cluster. Needs the right to ``pods/proxy``."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def ask(
        self, pod: Pod, method: str, path: str, body: bytes | None = None, timeout: float = 5.0
    ) -> tuple[int, bytes]:
        """Send it through the API server."""
        url = f"{self._pods}/{pod.name}:{PORT}/proxy{path}"
        return self._api.request(method, url, body, timeout=timeout, more=PROBE)


def read(item: Object) -> Pod:
    """Read a pod from its Kubernetes object."""
    meta, status = item["metadata"], item.get("status", {})
    annotations = meta.get("annotations", {})
    ready = any(
        entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions", [])
    )
    ending = "deletionTimestamp" in meta
    return Pod(
        name=meta["name"],
        address=status.get("podIP", ""),
        made_for=Release(
            annotations.get(VERSION, ""), annotations.get(DIGEST, ""), annotations.get(SOURCE, "")
        ),
        serving=ready and not ending,
        ending=ending,
        trouble="" if ready or ending else _trouble(status),
    )


def report(reach: Reach, pod: Pod) -> Report:
    """Ask a pod what it serves.

    Raises:
        ApiError: it does not say.
    """
    status, content = reach.ask(pod, "GET", "/")
    try:
        document: Any = json.loads(content)
        examples = tuple(map(_examples, document["features"]))
        return Report(document["version"] or "", document["digest"] or "", examples)
    except (ValueError, TypeError, KeyError) as error:
        raise ApiError(
            status, f"{pod.name} does not say what it serves: {status} {content[:200]!r}"
        ) from error


def _examples(entry: Object) -> tuple[Value, ...]:
    if entry.get("type") == "category":
        return tuple(entry["categories"])
    if entry.get("type") == "boolean":
        return (False, True)
    low, high = float(entry["minimum"]), float(entry["maximum"])
    return tuple(low + share * (high - low) for share in (0.0, 0.25, 0.5, 1.0))


def _trouble(status: Object) -> str:
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "") in ("CrashLoopBackOff", "ImagePullBackOff", "InvalidImageName"):
            ended = container.get("lastState", {}).get("terminated", {})
            said = (ended.get("message") or waiting.get("message") or "").strip().splitlines()
            return f"{container['name']} {waiting['reason']}{': ' + said[-1] if said else ''}"
    return ""
