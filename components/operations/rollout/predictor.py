"""An InferenceService: the release that it names, and what its pods serve."""

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

    The InferenceService's own conditions are not used, because they stay true during a rollout that fails.
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
        """Return the release that the InferenceService names; None if it names no model."""
        item = self._api.get(self._service)
        annotations = item["metadata"].get("annotations", {})
        uri = item["spec"]["predictor"].get("model", {}).get("storageUri", "")
        if not uri:
            return None
        return Release(annotations.get(VERSION, ""), annotations.get(DIGEST, ""), uri)

    def serve(self, release: Release) -> None:
        """Name another release, in one patch."""
        self._api.patch(self._service, release.patch())

    def exists(self) -> bool:
        """Return whether the InferenceService exists."""
        try:
            self._api.get(self._service)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def pods(self) -> list[Pod]:
        """Return the pods, including those that are being deleted."""
        return [pods.read(item) for item in self._api.get(self._pods)["items"]]

    def serving(self) -> list[Pod]:
        """Return the pods that get requests."""
        return [pod for pod in self.pods() if pod.serving]

    def report(self, pod: Pod) -> Report:
        """Ask a pod what it serves."""
        return pods.report(self._reach, pod)

    def counts(self, serving: Sequence[Pod]) -> dict[str, Counts]:
        """Return what pods have counted since they started, by name; pods that do not answer are left out."""
        return scrape(self._reach, serving)

    def fault(self, release: Release) -> str:
        """Return how the pods of a release fail although the cluster has started them.

        Empty if the cluster may be the cause: pods without a node, an image that can't be pulled.
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
        """Return another release than this one that has serving pods."""
        found = [pod.made_for for pod in self.serving() if pod.made_for.version != other_than.version]
        return found[0] if found and found[0].uri else None

    def pending(self, release: Release) -> tuple[str, ...]:
        """Return what is missing until the rollout of the release is complete; empty if it is.

        It is complete if the Deployment is that of the release, its observed generation, updated and
        available replicas agree, and every serving pod says that it serves the release.
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
        return missing or tuple(filter(None, (self._difference(pod, release) for pod in serving)))

    def trouble(self, release: Release) -> str:
        """Return why waiting will not make a pod of the release ready; empty if it may."""
        return next(
            (f"{pod.name}: {pod.trouble}" for pod in self.pods() if pod.trouble and pod.made_for == release),
            "",
        )

    def _difference(self, pod: Pod, release: Release) -> str:
        try:
            report = self.report(pod)
        except ApiError as error:
            return str(error)
        if report.is_of(release):
            return ""
        return (
            f"{pod.name} serves version {report.version or 'none'} "
            f"with the digest {report.digest[:12] or 'none'}"
        )


def _deployment_lacks(deployment: Object, release: Release) -> tuple[str, ...]:
    status, spec = deployment.get("status", {}), deployment["spec"]
    annotations = spec["template"]["metadata"].get("annotations", {})
    made_for = (annotations.get(VERSION, ""), annotations.get(pods.SOURCE, release.uri))
    if made_for != (release.version, release.uri):
        return (f"the Deployment is that of version {made_for[0] or 'none'} at {made_for[1]}",)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return ("the Deployment's controller has not observed its change yet",)
    wanted = spec.get("replicas", 1)
    counts = {name: status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    if set(counts.values()) != {wanted}:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        return (f"{found}, and {wanted} are wanted",)
    return ()
