"""Install a predictor whose version the rollout job owns, with its own store and registry.

``PIPELINE_IMAGE`` and ``REGISTRY_IMAGE`` are images that the nodes have or can pull.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from components.data.probes import record
from components.registry.index import CHAMPION, open_index
from predictor.model import artifact
from predictor.model.artifact import ArtifactError
from tests.cluster.installers import NAME, ROOT, STORE, image_values, render_template
from tests.cluster.kube import Object, kubectl, run
from tests.cluster.registry import apply_mlflow, forwarded_registry
from tests.cluster.resources import (
    damage,
    inject_faults,
    make_namespace,
    make_store,
    make_store_secret,
    upload,
)
from tests.cluster.rollout_job import CANARY, HOST, NAMESPACE, NEVER, REGISTRY, STORE_NAMESPACE, Job
from tests.cluster.service import X
from tests.support.models import linear_model, scaled

CHART = str(ROOT / "helm" / NAME)
DAMAGED, MEAN, WIDER = 3, 12, 13
# Factors of the first version's weights: 7 is far off, MEAN always predicts the mean, the others are near.
FACTORS = {1: 1.0, 2: 1.01, 3: 1.02, 4: 1.03, 5: 1.04, 6: 1.05, 7: 9.0, 8: 1.06, 9: 1.07, 10: 1.08, 11: 1.09}
FACTORS[MEAN] = 0.0
# WIDER has inputs that no other version has.
FEATURES = ("bmi", "bp")


@dataclass(frozen=True)
class Version:
    """A model version.

    Attributes:
        folder: its files on this machine.
        digest: its digest in the registry.
        response: its exact response for X, as the value of each input.
    """

    folder: Path
    digest: str
    response: str


def write_versions(first: Path, root: Path) -> dict[int, Version]:
    """Write versions with multiples of the first's weights, and WIDER; a file of DAMAGED is changed then."""
    base, _ = artifact.read(first)
    versions = {}
    models = {number: scaled(base, factor) for number, factor in FACTORS.items()}
    models[WIDER] = linear_model((900.0, 700.0), features=FEATURES)
    for number, model in models.items():
        folder = root / str(number)
        digest = artifact.write(model, folder)
        value = float(model.predict(np.full((1, model.width), X))[0])
        versions[number] = Version(folder, digest, f'{{"prediction":{value!r}}}')
    damage(versions[DAMAGED].folder)
    return versions


@contextmanager
def installed_job(image: str, versions: Mapping[int, Version], folder: Path) -> Iterator[Job]:
    """Install everything, register the versions, and make version 1 champion; removes it all at the end."""
    make_store(STORE_NAMESPACE, image)
    folders = {f"registry/models/{NAME}/{number}": version.folder for number, version in versions.items()}
    upload(STORE_NAMESPACE, folders)
    make_namespace(NAMESPACE)
    make_store_secret(NAMESPACE, STORE_NAMESPACE)
    values = json.dumps(job_values(image, os.environ["PIPELINE_IMAGE"]))
    run("helm", "install", NAME, CHART, "-n", NAMESPACE, "-f", "-", stdin=values)
    _install_registry()
    inject_faults(NAMESPACE, CANARY)
    _write_kubeconfig(folder)
    with forwarded_registry(NAMESPACE) as address:
        index = open_index(address, NAME, None)
        index.create_model()
        for number, version in versions.items():
            tags = {"digest": version.digest, "probes": _probes(versions, number)}
            index.create(f"{REGISTRY}/models/{NAME}/{number}", tags)
        index.point(CHAMPION, 1)
        yield Job(folder, address, {str(number): version.response for number, version in versions.items()})
    kubectl("delete", "namespace", NAMESPACE, STORE_NAMESPACE, "--wait=false")
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        for policy in ("rollout", "owner"):
            kubectl("delete", kind, f"{NAME}.{NAMESPACE}.{policy}", "--ignore-not-found")


def _probes(versions: Mapping[int, Version], number: int) -> str:
    """Record a version's probes; those of version 1 for one that predicts otherwise or can't be read."""
    try:
        model, _ = artifact.read(versions[1 if number in (7, MEAN) else number].folder)
    except ArtifactError:
        model, _ = artifact.read(versions[1].folder)
    probes = record(model, deviation=1.0)
    assert probes
    return probes.to_json()


def job_values(image: str, pipeline_image: str) -> Object:
    """Return the chart's values of canary and rollout job, whose CronJob never runs: tests run the job."""
    store = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE_NAMESPACE}}}]
    return {
        "image": image_values(image),
        "storage": {"secretName": STORE},
        "model": {"storageUri": f"{REGISTRY}/models/{NAME}/1/"},
        "replicas": {"min": 2, "max": 2},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "autoscaling": {"type": "none"},
        "scheduling": {"whenUnsatisfiable": "ScheduleAnyway"},
        "routing": {"host": HOST, "grpcHost": f"grpc.{HOST}"},
        "canary": {"enabled": True, "storageUri": f"{REGISTRY}/models/{NAME}/1/"},
        "rollout": {
            "enabled": True,
            "schedule": NEVER,
            "image": image_values(pipeline_image),
            "registry": {"root": REGISTRY, "trackingUri": f"http://{NAME}-mlflow:5000"},
        },
        "networkPolicy": {"store": {"to": store, "port": 9000}},
    }


def set_owner(owner: str) -> None:
    """Let the rollout job (``job``) or Git (``git``) own version and weights."""
    changed = ("--reuse-values", "--set", f"rollout.owner={owner}")
    run("helm", "upgrade", NAME, CHART, "-n", NAMESPACE, *changed)


def _install_registry() -> None:
    """Install the chart's MLflow with its database in an emptyDir, as the cluster may have no volumes."""
    values = {"mlflow": {"enabled": True, "image": image_values(os.environ["REGISTRY_IMAGE"])}}
    items = [
        item
        for item in yaml.safe_load_all(render_template("mlflow", NAMESPACE, values))
        if item["kind"] != "PersistentVolumeClaim"
    ]
    for item in items:
        if item["kind"] == "Deployment":
            (data,) = (v for v in item["spec"]["template"]["spec"]["volumes"] if v["name"] == "data")
            del data["persistentVolumeClaim"]
            data["emptyDir"] = {}
    apply_mlflow(NAMESPACE, yaml.safe_dump_all(items))


def _write_kubeconfig(folder: Path) -> None:
    """Write a kubeconfig of the job's ServiceAccount, and let it reach pods through the API server."""
    rules = [{"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get", "create"]}]
    subject = {"kind": "ServiceAccount", "name": f"{NAME}-rollout", "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"
    role = {"kind": "Role", "rules": rules}
    reference = {"apiGroup": group, "kind": "Role", "name": "from-outside"}
    binding = {"kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    for item in (role, binding):
        manifest = {"apiVersion": f"{group}/v1", "metadata": {"name": "from-outside"}, **item}
        kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(manifest))
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    token = kubectl("-n", NAMESPACE, "create", "token", f"{NAME}-rollout", "--duration=8h").strip()
    view["users"] = [{"name": "job", "user": {"token": token}}]
    view["contexts"] = [{"name": "job", "context": {"cluster": view["clusters"][0]["name"], "user": "job"}}]
    view["current-context"] = "job"
    (folder / "kubeconfig.json").write_text(json.dumps(view))
