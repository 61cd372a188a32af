"""The two ways to install: the same settings, once with kustomize and once with Helm."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.cluster.kube import Object, get, kubectl, run

ROOT = Path(__file__).parents[2]
NAME = "linear-regressor"
NAMESPACE = "linear-regressor"
STORE = "linear-regressor-store"


@dataclass(frozen=True)
class Canary:
    """A second version and its percentage of the requests; None says nothing about it."""

    version: str
    weight: int | None


@dataclass(frozen=True)
class Settings:
    """What the tests change of an installation.

    Attributes:
        image: the predictor's.
        version: the model's; None says nothing about it.
        minimum: fewest pods.
        maximum: most pods; as many as fewest, unless a test wants the number to change under its load.
        canary: a second version, or None.
        scaling: ``hpa`` or ``keda``.
    """

    image: str
    version: str | None = "1"
    minimum: int = 2
    maximum: int = 2
    canary: Canary | None = None
    scaling: str = "hpa"

    def but(self, **changes: Any) -> "Settings":
        """Return the same settings but for some."""
        return replace(self, **changes)


def uri(version: str) -> str:
    """Return where a version lies in the store of the tests."""
    return f"s3://models/{NAME}/{version}"


KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
REQUESTS = {"cpu": "100m", "memory": "256Mi"}
MONITORING = ("serviceMonitor", "prometheusRule", "dashboard")
SCALE_DOWN_SECONDS = 15
EGRESS_TO_STORE = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE}}}]


class Installer(Protocol):
    """Brings an installation to what the settings say, and takes it away."""

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""

    def remove(self) -> None:
        """Take it away."""


@dataclass(frozen=True)
class Helm:
    """``helm upgrade --install`` of a chart."""

    chart: str = str(ROOT / "helm" / NAME)

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""
        values = json.dumps(self.values(settings))
        command = ("helm", "upgrade", "--install", NAME, self.chart, "-n", NAMESPACE, "-f", "-")
        run(*command, stdin=values)

    def values(self, settings: Settings) -> Object:
        """Return the chart's values for the settings."""
        repository, _, tag = settings.image.rpartition(":")
        values: Object = {
            "image": {"repository": repository, "tag": tag},
            "model": {"storageUri": uri(settings.version) if settings.version else ""},
            "storage": {"secretName": STORE},
            "replicas": {"min": settings.minimum, "max": settings.maximum},
            "resources": {"requests": REQUESTS},
            "autoscaling": {
                "type": settings.scaling,
                "scaleDownWindowSeconds": SCALE_DOWN_SECONDS,
                "prometheusUrl": os.environ.get("PROMETHEUS", "http://prometheus-operated.monitoring:9090"),
                "requestsPerReplica": 50,
                "pollingIntervalSeconds": 5,
            },
            "monitoring": dict.fromkeys(MONITORING, settings.scaling == "keda"),
            "networkPolicy": {"store": {"to": EGRESS_TO_STORE, "port": 9000}},
        }
        if settings.canary:
            values["canary"] = {
                "enabled": True,
                "storageUri": uri(settings.canary.version),
                "weight": settings.canary.weight,
            }
        return values

    def remove(self) -> None:
        """Uninstall."""
        run("helm", "uninstall", NAME, "-n", NAMESPACE, "--wait")


class Kustomize:
    """``kubectl apply -k`` on an overlay of the user's own, over the one that fits.

    What is served, and in which shares, is applied by itself, and only when it is to change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told: dict[str, object] = {}

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""
        before = self._objects()
        self._write(".", self.kustomization(settings))
        if settings.canary:
            self._write("share", self._share(settings.canary.weight or 0))
        else:
            shutil.rmtree(self.folder / "share", ignore_errors=True)
        kubectl("apply", "-k", str(self.folder))
        versions = {NAME: settings.version}
        if settings.canary:
            versions[f"{NAME}-canary"] = settings.canary.version
            self._tell("share", settings.canary.weight, "apply", "-k", str(self.folder / "share"))
        for name, version in versions.items():
            said = json.dumps(_version(version or ""))
            self._tell(
                name, version, "-n", NAMESPACE, "patch", "inferenceservice", name, "--type=merge", "-p", said
            )
        if not settings.canary:
            self._told = {NAME: self._told.get(NAME)}
        for kind, name in sorted(before - self._objects()):
            kubectl("delete", "-n", NAMESPACE, kind, name)

    def _tell(self, what: str, value: object, *command: str) -> None:
        """Say what is to change, if it was said and has changed since it was last said."""
        if value is not None and value != self._told.get(what):
            kubectl(*command)
            self._told[what] = value

    def _write(self, folder: str, content: Object) -> None:
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        over = place.resolve()
        content["resources"] = [os.path.relpath(ROOT / "manifests" / "overlays" / content.pop("over"), over)]
        (place / "kustomization.yaml").write_text(json.dumps({**KUSTOMIZATION, **content}))

    def _objects(self) -> set[tuple[str, str]]:
        folders = [file.parent for file in self.folder.rglob("kustomization.yaml")]
        dry = ("--dry-run=client", "-o", "name")
        names = [name for folder in folders for name in kubectl("apply", "-k", str(folder), *dry).split()]
        return {(kind, name) for kind, _, name in (line.partition("/") for line in names)}

    def kustomization(self, settings: Settings) -> Object:
        """Return the overlay for the settings."""
        overlay = "canary" if settings.canary else "keda" if settings.scaling == "keda" else "standard"
        repository, _, tag = settings.image.rpartition(":")
        patches = [
            _patch("ServiceAccount", NAME, _set("/secrets", [{"name": STORE}])),
            _patch("ServingRuntime", "", _set("/spec/containers/0/resources/requests", REQUESTS)),
            _patch("InferenceService", f"^{NAME}$", *self._pods(settings)),
            _patch(
                "NetworkPolicy",
                f"{NAME}-predictor",
                _set("/spec/egress/1", {"to": EGRESS_TO_STORE, "ports": [{"port": 9000, "protocol": "TCP"}]}),
            ),
            *self._scaling(settings),
        ]
        return {
            "over": overlay,
            "images": [{"name": "linear-regressor/predictor", "newName": repository, "newTag": tag}],
            "patches": patches,
        }

    def _pods(self, settings: Settings) -> list[Object]:
        return [
            _set("/spec/predictor/minReplicas", settings.minimum),
            _set("/spec/predictor/maxReplicas", settings.maximum),
        ]

    def _scaling(self, settings: Settings) -> list[Object]:
        window = "scaleDown/stabilizationWindowSeconds"
        if settings.scaling == "keda":
            server = os.environ.get("PROMETHEUS", "http://prometheus-operated.monitoring:9090")
            return [
                _patch(
                    "ScaledObject",
                    f"^{NAME}$",
                    _set("/spec/minReplicaCount", settings.minimum),
                    _set("/spec/maxReplicaCount", settings.maximum),
                    _set("/spec/pollingInterval", 5),
                    _set("/spec/triggers/0/metadata/threshold", "50"),
                    _set("/spec/triggers/0/metadata/serverAddress", server),
                    _set(
                        f"/spec/advanced/horizontalPodAutoscalerConfig/behavior/{window}", SCALE_DOWN_SECONDS
                    ),
                )
            ]
        return [
            _patch(
                "HorizontalPodAutoscaler",
                f"^{NAME}$",
                _set("/spec/minReplicas", settings.minimum),
                _set("/spec/maxReplicas", settings.maximum),
                _set(f"/spec/behavior/{window}", SCALE_DOWN_SECONDS),
            )
        ]

    def _share(self, weight: int) -> Object:
        rules = [("HTTPRoute", 0), ("HTTPRoute", 1), ("GRPCRoute", 0)]
        patches = [
            _patch(
                kind,
                f"^{NAME}$",
                _set(f"/spec/rules/{rule}/backendRefs/0/weight", 100 - weight),
                _set(f"/spec/rules/{rule}/backendRefs/1/weight", weight),
            )
            for kind, rule in rules
        ]
        return {"over": "canary/share", "patches": patches}

    def remove(self) -> None:
        """Delete what was applied."""
        for file in sorted(self.folder.rglob("kustomization.yaml")):
            kubectl("delete", "-k", str(file.parent), "--ignore-not-found")
            file.unlink()
        self._told = {}


def remains() -> set[str]:
    """Return what is left in the namespace but for what every namespace holds, as kind/name."""
    kinds = (
        "all,inferenceservices,servingruntimes,httproutes,grpcroutes,ingresses,hpa,pdb,networkpolicies,"
        "serviceaccounts,roles,rolebindings,secrets,configmaps"
    )
    items = get("-n", NAMESPACE, kinds)["items"]
    names = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
    return names - {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt", f"Secret/{STORE}"}


def _version(version: str) -> Object:
    """Return what ``manifests/version.yaml`` says, for a version."""
    said: Object = yaml.safe_load((ROOT / "manifests" / "version.yaml").read_text())
    said["metadata"]["annotations"]["linear-regressor/model-version"] = version
    said["spec"]["predictor"]["model"]["storageUri"] = uri(version)
    return said


def _set(path: str, value: object) -> Object:
    return {"op": "add", "path": path, "value": value}


def _patch(kind: str, name: str, *operations: Object) -> Object:
    return {"target": {"kind": kind, **({"name": name} if name else {})}, "patch": json.dumps(operations)}
