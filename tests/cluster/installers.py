"""The two ways to install: the same settings, once with kustomize and once with Helm."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tests.cluster.kube import Object, get, kubectl, run

ROOT = Path(__file__).parents[2]
NAME = "linear-regressor"
NAMESPACE = "linear-regressor"
STORE = "linear-regressor-store"


@dataclass(frozen=True)
class Canary:
    """A second version and its percentage of the requests."""

    version: str
    weight: int


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


REQUESTS = {"cpu": "100m", "memory": "256Mi"}
SCALE_DOWN_SECONDS = 15
EGRESS_TO_STORE = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE}}}]


class Installer(Protocol):
    """Brings an installation to what the settings say, and takes it away."""

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""

    def remove(self) -> None:
        """Take it away."""


class Helm:
    """``helm upgrade --install``."""

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""
        self.upgrade(settings)

    def upgrade(self, settings: Settings, *options: str) -> None:
        """Install or upgrade, with more of Helm's options."""
        values = json.dumps(self.values(settings))
        chart = str(ROOT / "helm" / NAME)
        run("helm", "upgrade", "--install", NAME, chart, "-n", NAMESPACE, "-f", "-", *options, stdin=values)

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
            "monitoring": {"serviceMonitor": settings.scaling == "keda"},
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
    """``kubectl apply -k`` on an overlay of the user's own, over the one that fits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def apply(self, settings: Settings) -> None:
        """Install, or change what is installed."""
        before = self._applied() if (self.folder / "kustomization.yaml").exists() else set()
        (self.folder / "kustomization.yaml").write_text(json.dumps(self.kustomization(settings)))
        kubectl("apply", "-k", str(self.folder))
        for kind, name in sorted(before - self._applied()):
            kubectl("delete", "-n", NAMESPACE, kind, name)

    def _applied(self) -> set[tuple[str, str]]:
        names = kubectl("apply", "-k", str(self.folder), "--dry-run=client", "-o", "name").split()
        return {(kind, name) for kind, _, name in (line.partition("/") for line in names)}

    def kustomization(self, settings: Settings) -> Object:
        """Return the overlay for the settings."""
        overlay = "canary" if settings.canary else "keda" if settings.scaling == "keda" else "standard"
        repository, _, tag = settings.image.rpartition(":")
        patches = [
            _patch("ServiceAccount", NAME, _set("/secrets", [{"name": STORE}])),
            _patch("ServingRuntime", "", _set("/spec/containers/0/resources/requests", REQUESTS)),
            _patch("InferenceService", f"^{NAME}$", *self._version(settings.version), *self._pods(settings)),
            _patch(
                "NetworkPolicy",
                f"{NAME}-predictor",
                _set("/spec/egress/1", {"to": EGRESS_TO_STORE, "ports": [{"port": 9000, "protocol": "TCP"}]}),
            ),
            *self._scaling(settings),
        ]
        if settings.canary:
            patches += self._canary(settings.canary)
        return {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(ROOT / "manifests" / "overlays" / overlay, self.folder.resolve())],
            "images": [{"name": "linear-regressor/predictor", "newName": repository, "newTag": tag}],
            "patches": patches,
        }

    def _version(self, version: str | None) -> list[Object]:
        if version is None:
            return []
        return [
            _set("/metadata/annotations/linear-regressor~1model-version", version),
            _set("/spec/predictor/model/storageUri", uri(version)),
        ]

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

    def _canary(self, canary: Canary) -> list[Object]:
        weights = [("HTTPRoute", 0), ("HTTPRoute", 1), ("GRPCRoute", 0)]
        return [
            _patch("InferenceService", f"^{NAME}-canary$", *self._version(canary.version)),
            *(
                _patch(
                    kind,
                    f"^{NAME}$",
                    _set(f"/spec/rules/{rule}/backendRefs/0/weight", 100 - canary.weight),
                    _set(f"/spec/rules/{rule}/backendRefs/1/weight", canary.weight),
                )
                for kind, rule in weights
            ),
        ]

    def remove(self) -> None:
        """Delete what was applied."""
        kubectl("delete", "-k", str(self.folder), "--ignore-not-found")
        (self.folder / "kustomization.yaml").unlink()


def remains() -> set[str]:
    """Return what is left in the namespace but for what every namespace holds, as kind/name."""
    kinds = (
        "all,inferenceservices,servingruntimes,httproutes,grpcroutes,ingresses,hpa,pdb,networkpolicies,"
        "serviceaccounts,roles,rolebindings,secrets,configmaps"
    )
    items = get("-n", NAMESPACE, kinds)["items"]
    names = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
    return names - {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt", f"Secret/{STORE}"}


def _set(path: str, value: object) -> Object:
    return {"op": "add", "path": path, "value": value}


def _patch(kind: str, name: str, *operations: Object) -> Object:
    return {"target": {"kind": kind, **({"name": name} if name else {})}, "patch": json.dumps(operations)}
