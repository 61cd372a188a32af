"""One InferenceService: what it is told to serve, and what its pods do serve."""

from collections.abc import Sequence

from components.operations.rollout import pods
from components.operations.rollout.api import Api, Object
from components.operations.rollout.counters import scrape
from components.operations.rollout.errors import ApiError
from components.operations.rollout.evidence import Counts
from components.operations.rollout.pods import Pod, Reach, Report
from components.operations.rollout.release import DIGEST, VERSION, Release

CONTAINER = "kserve-container"


class Predictor:
    """An InferenceService, its Deployment and its pods.

    The InferenceService's own conditions are never looked at: they stay true through a broken rollout.
    """

    def __init__(self, api: Api, reach: Reach, namespace: str, name: str) -> None:
        self.name = name
        self._api = api
        self._reach = reach
        self._service = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
        self._deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}-predictor"
        self._pods = (
            f"/api/v1/namespaces/{namespace}/pods?labelSelector=serving.kserve.io/inferenceservice={name}"
        )

    def wanted(self) -> Release | None:
        """What the InferenceService says; None where it names no model."""
        item = self._api.get(self._service)
        annotations = item["metadata"].get("annotations", {})
        uri = item["spec"]["predictor"].get("model", {}).get("storageUri", "")
        if not uri:
            return None
        return Release(annotations.get(VERSION, ""), annotations.get(DIGEST, ""), uri)

    def serve(self, release: Release) -> None:
        """Have another release served: in one patch."""
        self._api.patch(self._service, release.patch())

    def exists(self) -> bool:
        """Whether there is such an InferenceService."""
        try:
            self._api.get(self._service)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def pods(self) -> list[Pod]:
        """The pods, those that are ending too."""
        return [pods.read(item) for item in self._api.get(self._pods)["items"]]

    def serving(self) -> list[Pod]:
        """The pods that are given requests."""
        return [pod for pod in self.pods() if pod.serving]

    def report(self, pod: Pod) -> Report:
        """What a pod says that it serves."""
        return pods.report(self._reach, pod)

    def counts(self, serving: Sequence[Pod]) -> dict[str, Counts]:
        """What pods counted since they started, by their names; those that do not tell are left out."""
        return scrape(self._reach, serving)

    def fault(self, release: Release) -> str:
        """Why pods that were made for a release do not serve it by a fault of its own.

        Empty where the cluster may be the cause: pods without a node, an image that can't be pulled.
        """
        for pod in self.pods():
            if pod.made_for != release or pod.serving or pod.ending:
                continue
            if pod.trouble.startswith(f"{CONTAINER} CrashLoopBackOff"):
                return f"{pod.name}: {pod.trouble}"
            if pod.address and self._lives(pod):
                return f"{pod.name} runs, and is not ready"
        return ""

    def _lives(self, pod: Pod) -> bool:
        try:
            return self._reach.ask(pod, "GET", "/ping")[0] == 200
        except ApiError:
            return False

    def standing(self, other_than: Release) -> Release | None:
        """The release, other than one, that pods which serve were made for."""
        found = [pod.made_for for pod in self.serving() if pod.made_for.version != other_than.version]
        return found[0] if found and found[0].uri else None

    def pending(self, release: Release) -> tuple[str, ...]:
        """What is missing until the release is rolled out; nothing when it is.

        It is when the Deployment was made for it, its observed generation, updated and available replicas
        agree, and every pod that serves says that this is what it serves.
        """
        try:
            deployment = self._api.get(self._deployment)
        except ApiError as error:
            if error.status == 404:
                return ("there is no Deployment yet",)
            raise
        missing = _deployment_lacks(deployment, release)
        standing = self.pods()
        serving = [pod for pod in standing if pod.serving]
        wanted = deployment["spec"].get("replicas", 1)
        if not missing and len(serving) < max(wanted, 1):
            missing = (f"{len(serving)} of {wanted} pods serve",)
        return missing or tuple(filter(None, (self._strays(pod, release) for pod in serving)))

    def trouble(self, release: Release) -> str:
        """Why pods that were made for a release will not become ready by waiting."""
        return next(
            (f"{pod.name}: {pod.trouble}" for pod in self.pods() if pod.trouble and pod.made_for == release),
            "",
        )

    def _strays(self, pod: Pod, release: Release) -> str:
        try:
            told = self.report(pod)
        except ApiError as error:
            return str(error)
        if told.is_of(release):
            return ""
        return (
            f"{pod.name} serves version {told.version or 'none'} with the digest {told.digest[:12] or 'none'}"
        )


def _deployment_lacks(deployment: Object, release: Release) -> tuple[str, ...]:
    status, spec = deployment.get("status", {}), deployment["spec"]
    annotations = spec["template"]["metadata"].get("annotations", {})
    made_for = (annotations.get(VERSION, ""), annotations.get(pods.SOURCE, release.uri))
    if made_for != (release.version, release.uri):
        return (f"the Deployment is made for version {made_for[0] or 'none'} at {made_for[1]}",)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return ("the Deployment's change is not observed yet",)
    wanted = spec.get("replicas", 1)
    counts = {name: status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    if set(counts.values()) != {wanted}:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        return (f"{told}, and {wanted} are wanted",)
    return ()
