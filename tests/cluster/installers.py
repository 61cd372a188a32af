"""Install the same settings with Helm or with kustomize."""

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
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
    """A second version and its percentage of the requests; None leaves the weight unset."""

    version: str
    weight: int | None


@dataclass(frozen=True)
class Settings:
    """The settings that tests vary.

    Attributes:
        image: the predictor's image.
        version: the model's version; None leaves it unset.
        minimum: fewest pods.
        maximum: most pods; equal to the minimum unless a test scales under load.
        canary: a second version, or None.
        scaling: ``hpa`` or ``keda``.
        monitoring: whether Prometheus scrapes the pods and has the rules; KEDA needs it.
        tracing: whether spans go to a collector.
    """

    image: str
    version: str | None = "1"
    minimum: int = 2
    maximum: int = 2
    canary: Canary | None = None
    scaling: str = "hpa"
    monitoring: bool = False
    tracing: bool = False

    def replace(self, **changes: Any) -> "Settings":
        """Return a copy with some settings changed."""
        return dataclasses.replace(self, **changes)


def image_values(name: str) -> dict[str, str]:
    """Return an image's name as the chart's values; one without a registry is Docker Hub's."""
    repository, _, tag = name.rpartition(":")
    registry, _, path = repository.partition("/")
    if not {".", ":"} & set(registry) and registry != "localhost":
        registry, path = "docker.io", repository
    return {"registry": registry, "repository": path, "tag": tag}


def model_uri(version: str) -> str:
    """Return a version's URI in the tests' store."""
    return f"s3://models/{NAME}/{version}/"


def prometheus_url() -> str:
    """Return the address of Prometheus in the cluster."""
    return os.environ.get("PROMETHEUS", "http://prometheus-operated.monitoring:9090")


# What the chart refuses to be without, for renders of one template.
REQUIRED: Object = {
    "image": {"registry": "docker.io"},
    "storage": {"withoutSecret": True},
    "model": {"promoted": True},
}
KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
REQUESTS = {"cpu": "100m", "memory": "256Mi"}
MONITORING = ("serviceMonitor", "prometheusRule", "dashboard")
SCALE_DOWN_SECONDS = 15
WINDOW = "scaleDown/stabilizationWindowSeconds"
EGRESS_TO_STORE = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE}}}]


def render_template(template: str, namespace: str, values: Object) -> str:
    """Render one of the chart's templates; values that only others need are filled in.

    Without a cluster Helm assumes a version of Kubernetes, which may be older than the chart needs.
    """
    chart, content = str(ROOT / "helm" / NAME), json.dumps({**REQUIRED, **values})
    only = ("--show-only", f"templates/{template}.yaml", "--kube-version", "1.34.0")
    return run("helm", "template", NAME, chart, "-n", namespace, *only, "-f", "-", stdin=content)


class Installer(Protocol):
    """Installs, changes and removes the predictor."""

    def apply(self, settings: Settings) -> None:
        """Install, or change the installation to these settings."""

    def remove(self) -> None:
        """Remove the installation."""


@dataclass(frozen=True)
class Helm:
    """Installs a chart with ``helm upgrade --install``."""

    chart: str = str(ROOT / "helm" / NAME)

    def apply(self, settings: Settings) -> None:
        """Install, or change the installation to these settings."""
        values = json.dumps(self.values(settings))
        command = ("helm", "upgrade", "--install", NAME, self.chart, "-n", NAMESPACE, "-f", "-")
        run(*command, stdin=values)

    def values(self, settings: Settings) -> Object:
        """Return the chart's values for the settings."""
        values: Object = {
            "image": image_values(settings.image),
            "model": {
                "storageUri": model_uri(settings.version) if settings.version else "",
                "promoted": settings.version is None,
            },
            "storage": {"secretName": STORE},
            "replicas": {"min": settings.minimum, "max": settings.maximum},
            "resources": {"requests": REQUESTS},
            "autoscaling": {
                "type": settings.scaling,
                "scaleDownWindowSeconds": SCALE_DOWN_SECONDS,
                "prometheusUrl": prometheus_url(),
                "requestsPerReplica": 50,
            },
            "monitoring": dict.fromkeys(MONITORING, settings.monitoring or settings.scaling == "keda"),
            "networkPolicy": {"store": {"to": EGRESS_TO_STORE, "port": 9000}},
        }
        if settings.tracing:
            values["tracing"] = {"endpoint": "http://opentelemetry-collector.monitoring:4318"}
        if settings.canary:
            values["canary"] = {
                "enabled": True,
                "storageUri": model_uri(settings.canary.version),
                "weight": settings.canary.weight,
            }
        return values

    def remove(self) -> None:
        """Uninstall."""
        run("helm", "uninstall", NAME, "-n", NAMESPACE, "--wait")


class Kustomize:
    """Applies a user's overlay, based on one of ours, with ``kubectl apply -k``.

    Versions and weights are applied separately, and only when their settings change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._applied: dict[str, object] = {}

    def apply(self, settings: Settings) -> None:
        """Install, or change the installation to these settings."""
        before = self._object_names()
        self.write(settings)
        kubectl("apply", "-k", str(self.folder))
        versions = {NAME: settings.version}
        if settings.canary:
            versions[f"{NAME}-canary"] = settings.canary.version
            self._apply_once("share", settings.canary.weight, "apply", "-k", str(self.folder / "share"))
        for name, version in versions.items():
            patch = json.dumps(version_patch(version or ""))
            command = ("-n", NAMESPACE, "patch", "inferenceservice", name, "--type=merge", "-p", patch)
            self._apply_once(name, version, *command)
        if not settings.canary:
            self._applied = {NAME: self._applied.get(NAME)}
        for kind, name in sorted(before - self._object_names()):
            kubectl("delete", "-n", NAMESPACE, kind, name)

    def write(self, settings: Settings) -> None:
        """Write the kustomizations of these settings."""
        self._write(".", *self._kustomization(settings))
        if settings.canary:
            self._write(
                "share", "canary/share", {"patches": self._weight_patches(settings.canary.weight or 0)}
            )
        else:
            shutil.rmtree(self.folder / "share", ignore_errors=True)

    def _apply_once(self, setting: str, value: object, *command: str) -> None:
        """Run kubectl if the setting has a value that was not applied last time."""
        if value is not None and value != self._applied.get(setting):
            kubectl(*command)
            self._applied[setting] = value

    def _write(self, folder: str, overlay: str, content: Object) -> None:
        target = self.folder / folder
        target.mkdir(exist_ok=True)
        resource = os.path.relpath(ROOT / "manifests" / "overlays" / overlay, target.resolve())
        kustomization = {**KUSTOMIZATION, "resources": [resource], **content}
        (target / "kustomization.yaml").write_text(json.dumps(kustomization))

    def _object_names(self) -> set[tuple[str, str]]:
        folders = [file.parent for file in self.folder.rglob("kustomization.yaml")]
        dry = ("--dry-run=client", "-o", "name")
        names = [name for folder in folders for name in kubectl("apply", "-k", str(folder), *dry).split()]
        return {(kind, name) for kind, _, name in (line.partition("/") for line in names)}

    def _kustomization(self, settings: Settings) -> tuple[str, Object]:
        """Return the overlay to build on, and the changes to it."""
        overlay = "tracing" if settings.tracing else "standard"
        overlay = "canary" if settings.canary else "keda" if settings.scaling == "keda" else overlay
        image = image_values(settings.image)
        patches = [
            _patch("ServiceAccount", NAME, _set("/secrets", [{"name": STORE}])),
            _patch("ServingRuntime", "", _set("/spec/containers/0/resources/requests", REQUESTS)),
            _patch(
                "InferenceService",
                f"^{NAME}$",
                _set("/spec/predictor/minReplicas", settings.minimum),
                _set("/spec/predictor/maxReplicas", settings.maximum),
            ),
            _patch(
                "NetworkPolicy",
                f"{NAME}-predictor",
                {
                    "op": "replace",
                    "path": "/spec/egress/1",
                    "value": {"to": EGRESS_TO_STORE, "ports": [{"port": 9000, "protocol": "TCP"}]},
                },
            ),
            self._autoscaler_patch(settings),
        ]
        if settings.canary:
            # The patch of the stable one reaches it too: kustomize also compares the name before a suffix.
            one_pod = (_set(f"/spec/predictor/{field}", 1) for field in ("minReplicas", "maxReplicas"))
            patches.append(_patch("InferenceService", f"^{NAME}-canary$", *one_pod))
        names = {"newName": f"{image['registry']}/{image['repository']}", "newTag": image["tag"]}
        content: Object = {"images": [{"name": "linear-regressor/predictor", **names}], "patches": patches}
        if settings.monitoring and overlay != "keda":
            component = ROOT / "manifests" / "components" / "monitoring"
            content["components"] = [os.path.relpath(component, self.folder.resolve())]
            content["namespace"] = NAMESPACE
        return overlay, content

    def _autoscaler_patch(self, settings: Settings) -> Object:
        if settings.scaling == "keda":
            behavior = "/spec/advanced/horizontalPodAutoscalerConfig/behavior"
            return _patch(
                "ScaledObject",
                f"^{NAME}$",
                _set("/spec/minReplicaCount", settings.minimum),
                _set("/spec/maxReplicaCount", settings.maximum),
                _set("/spec/triggers/0/metadata/threshold", "50"),
                _set("/spec/triggers/0/metadata/serverAddress", prometheus_url()),
                _set(f"{behavior}/{WINDOW}", SCALE_DOWN_SECONDS),
            )
        return _patch(
            "HorizontalPodAutoscaler",
            f"^{NAME}$",
            _set("/spec/minReplicas", settings.minimum),
            _set("/spec/maxReplicas", settings.maximum),
            _set(f"/spec/behavior/{WINDOW}", SCALE_DOWN_SECONDS),
        )

    def _weight_patches(self, weight: int) -> list[Object]:
        rules = [("HTTPRoute", 0), ("HTTPRoute", 1), ("GRPCRoute", 0)]
        window = _set(f"/spec/behavior/{WINDOW}", SCALE_DOWN_SECONDS)
        return [
            _patch("HorizontalPodAutoscaler", f"^{NAME}-canary$", window),
            *(
                _patch(
                    kind,
                    f"^{NAME}$",
                    _set(f"/spec/rules/{rule}/backendRefs/0/weight", 100 - weight),
                    _set(f"/spec/rules/{rule}/backendRefs/1/weight", weight),
                )
                for kind, rule in rules
            ),
        ]

    def remove(self) -> None:
        """Delete the applied objects."""
        for file in sorted(self.folder.rglob("kustomization.yaml")):
            kubectl("delete", "-k", str(file.parent), "--ignore-not-found")
            file.unlink()
        self._applied = {}


def remaining_objects() -> set[str]:
    """Return the namespace's objects as kind/name, except those that every test namespace has."""
    kinds = (
        "all,inferenceservices,servingruntimes,httproutes,grpcroutes,ingresses,hpa,pdb,networkpolicies,"
        "serviceaccounts,roles,rolebindings,secrets,configmaps"
    )
    items = get("-n", NAMESPACE, kinds)["items"]
    names = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
    return names - {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt", f"Secret/{STORE}"}


def namespace_is_empty() -> bool:
    """Return whether nothing of the installation is left."""
    return not remaining_objects() and not get("-n", NAMESPACE, "pods")["items"]


def version_patch(version: str) -> Object:
    """Return the content of ``manifests/version.yaml`` for a version: what a promotion changes."""
    patch: Object = yaml.safe_load((ROOT / "manifests" / "version.yaml").read_text())
    patch["metadata"]["annotations"]["linear-regressor/model-version"] = version
    patch["spec"]["predictor"]["model"]["storageUri"] = model_uri(version)
    return patch


def _set(path: str, value: object) -> Object:
    return {"op": "add", "path": path, "value": value}


def _patch(kind: str, name: str, *operations: Object) -> Object:
    return {"target": {"kind": kind, **({"name": name} if name else {})}, "patch": json.dumps(operations)}
