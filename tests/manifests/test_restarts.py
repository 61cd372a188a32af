"""The values marked ``[restarts]`` are those that change what KServe makes the predictor's pods of."""

from functools import reduce
from typing import Any

import pytest
import yaml

from helm import readme
from tests.manifests.rendering import CHART, Object, merged, render_chart

TEXT = (CHART / "values.yaml").read_text()
VALUES: Object = yaml.safe_load(TEXT)
MARKED = {path: about.endswith(readme.RESTARTS) for path, about in readme.comments(TEXT)}
# Sections that are about other pods, or about a canary, or about objects beside the pods.
OTHERS = (
    "mlflow",
    "rollout",
    "retraining",
    "test",
    "monitoring",
    "canary",
    "networkPolicy",
    "routing",
)
# Another value, where none follows from the type of the default.
CHANGES: Object = {
    "nameOverride": "prices",
    "fullnameOverride": "prices",
    "commonLabels": {"team": "prices"},
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more", "annotations": {}}}
    ],
    "image.digest": f"sha256:{'1' * 64}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "model.storageUri": "s3://prices/models/linear-regressor/2/",
    "model.registryRoot": "s3://prices",
    "deploymentMode": "Knative",
    "replicas.surge": "50%",
    "autoscaling.type": "none",
    "extraEnv": [{"name": "PREDICTOR_QUEUE", "value": "8"}],
    "extraEnvFrom": [{"secretRef": {"name": "settings"}}],
    "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
    "volumeMounts": [{"name": "keys", "mountPath": "/keys"}],
    "podLabels": {"team": "prices"},
    "podAnnotations": {"team": "prices"},
    "nodeSelector": {"pool": "prices"},
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "scheduling.whenUnsatisfiable": "ScheduleAnyway",
    "podSecurityContext": {"fsGroup": 3},
    "securityContext": {"runAsUser": 3},
    "proxy.noProxy": None,
    "serviceAccount.annotations": {"role": "reader"},
    "resources.requests.memory": "1Gi",
    "resources.limits.memory": "2Gi",
    "logs.level": "DEBUG",
    "logs.ratio": 0.5,
    "tracing.endpoint": "http://other:4318",
    "tracing.sampler": "always_on",
    "tracing.ratio": 0.5,
    "proxy.http": "http://proxy.example.com",
    "proxy.https": "http://proxy.example.com",
}


def changed(path: str) -> Object:
    """Return values in which the one at a path is another one."""
    default = readme.default(VALUES, path)
    value: Any = CHANGES.get(path)
    if value is None:
        value = not default if isinstance(default, bool) else default + 1 if isinstance(default, int) else "3"
    return reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)


def pods(values: Object) -> Object:
    """Return what KServe makes the predictor's pods of."""
    served = {
        "model": {"storageUri": "s3://prices/models/linear-regressor/1/"},
        "tracing": {"endpoint": "http://collector:4318"},
    }
    objects = render_chart(merged(served, values))
    services = [item for item in objects if item["kind"] == "InferenceService"]
    runtimes = [item for item in objects if item["kind"] == "ServingRuntime"]
    (service,), (runtime,) = services, runtimes
    predictor = service["spec"]["predictor"]
    for field in ("minReplicas", "maxReplicas", "deploymentStrategy"):
        predictor.pop(field, None)
    meta = {key: service["metadata"].get(key) for key in ("name", "labels", "annotations")}
    return {"meta": meta, "predictor": predictor, "runtime": runtime["spec"]}


PREDICTOR = [path for path in MARKED if path.split(".")[0] not in OTHERS and path != "proxy.noProxy"]


def test_values_of_other_components_are_not_marked() -> None:
    assert not [path for path in MARKED if MARKED[path] and path.split(".")[0] in OTHERS]


def test_values_without_the_mark_change_nothing_of_the_pods_together() -> None:
    unmarked = [path for path in PREDICTOR if not MARKED[path]]
    assert "replicas.max" in unmarked
    assert pods(reduce(merged, map(changed, unmarked))) == pods({})


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PREDICTOR if MARKED[path]])
def test_each_value_with_the_mark_changes_the_pods(path: str) -> None:
    assert pods(changed(path)) != pods({})
