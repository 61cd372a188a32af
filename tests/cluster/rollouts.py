"""An installation of its own whose version the rollout job owns, with a registry of its own.

``PIPELINE_IMAGE`` and ``REGISTRY_IMAGE`` are images that the nodes have or can pull.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.installers import NAME, ROOT, STORE
from tests.cluster.kube import Object, get, kubectl, run, wait_for
from tests.cluster.service import is_ready

NAMESPACE = f"{NAME}-rollout"
OWN_STORE = f"{NAMESPACE}-store"
HOST = "rollout.example.com"
REGISTRY = "s3://registry"
CANARY = f"{NAME}-canary"
JOB = f"system:serviceaccount:{NAMESPACE}:{NAME}-rollout"
POLICY: dict[str, Any] = {
    "steps": [{"weight": 20, "seconds": 6}, {"weight": 50, "seconds": 6}],
    "requests": 40,
    "errorRatio": 0.02,
    # Everything of the cluster shares two cores here: only what is slow beyond doubt counts.
    "latencyRatio": 4,
    "latencyFloor": 0.2,
    "shift": 1,
    "rate": 20,
    "readySeconds": 120,
}


NEEDED = ("PIPELINE_IMAGE", "REGISTRY_IMAGE")
MISSING = ", ".join(name for name in NEEDED if not os.environ.get(name))
NEVER = "0 0 29 2 *"
CHART = str(ROOT / "helm" / NAME)


def install(image: str) -> None:
    """Install the chart with canary and job; the CronJob sleeps, for most tests run the job themselves."""
    store = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": OWN_STORE}}}]
    values = {
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
            "image": image_values(os.environ["PIPELINE_IMAGE"]),
            "registry": {"root": REGISTRY},
        },
        "networkPolicy": {"store": {"to": store, "port": 9000}},
    }
    run("helm", "install", NAME, CHART, "-n", NAMESPACE, "-f", "-", stdin=json.dumps(values))


def image_values(name: str) -> dict[str, str]:
    """An image as the chart's values name it."""
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag}


def own(owner: str) -> None:
    """Have version and weights owned by the job, or by Git, and nothing else changed."""
    chosen = ("--reuse-values", "--set", f"rollout.owner={owner}")
    run("helm", "upgrade", NAME, CHART, "-n", NAMESPACE, *chosen)


def start_registry() -> None:
    """Install the chart's MLflow, which keeps what it knows in its pod: the cluster need not have volumes."""
    values = json.dumps({"mlflow": {"enabled": True, "image": image_values(os.environ["REGISTRY_IMAGE"])}})
    words = (
        "helm",
        "template",
        NAME,
        CHART,
        "-n",
        NAMESPACE,
        "--show-only",
        "templates/mlflow.yaml",
        "-f",
        "-",
    )
    for item in yaml.safe_load_all(run(*words, stdin=values)):
        if item["kind"] == "PersistentVolumeClaim":
            continue
        if item["kind"] == "Deployment":
            (volume,) = (one for one in item["spec"]["template"]["spec"]["volumes"] if one["name"] == "data")
            del volume["persistentVolumeClaim"]
            volume["emptyDir"] = {}
        kubectl("apply", "-f", "-", stdin=json.dumps(item))
    kubectl("-n", NAMESPACE, "rollout", "status", f"deploy/{NAME}-mlflow", "--timeout=300s", timeout=310)


def scale(count: int) -> None:
    """Have so many pods of the stable version, and wait for them."""
    number = {"spec": {"predictor": {"minReplicas": count, "maxReplicas": count}}}
    kubectl("-n", NAMESPACE, "patch", "inferenceservice", NAME, "--type=merge", "-p", json.dumps(number))

    def stand() -> bool:
        standing = [pod["metadata"]["name"] for pod in pods()]
        return len(standing) == count and all(map(told, standing))

    wait_for(f"{count} pods", stand, 180, pause=2)


def schedule(when: str, policy: Mapping[str, Any]) -> None:
    """Have the CronJob run at other times, with another policy."""
    texts = {"data": {"policy.json": json.dumps(policy)}}
    kubectl("-n", NAMESPACE, "patch", "configmap", f"{NAME}-rollout", "--type=merge", "-p", json.dumps(texts))
    spec = json.dumps({"spec": {"schedule": when}})
    kubectl("-n", NAMESPACE, "patch", "cronjob", f"{NAME}-rollout", "--type=merge", "-p", spec)


def credentials(folder: Path) -> Path:
    """A kubeconfig of the job's ServiceAccount, which from outside reaches pods through the API server."""
    rules = [{"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get", "create"]}]
    subject = {"kind": "ServiceAccount", "name": f"{NAME}-rollout", "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"
    for item in (
        {"kind": "Role", "rules": rules},
        {
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "from-outside"},
            "subjects": [subject],
        },
    ):
        whole = {"apiVersion": f"{group}/v1", "metadata": {"name": "from-outside"}, **item}
        kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=json.dumps(whole))
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    token = kubectl("-n", NAMESPACE, "create", "token", f"{NAME}-rollout", "--duration=8h").strip()
    view["users"] = [{"name": "job", "user": {"token": token}}]
    view["contexts"] = [{"name": "job", "context": {"cluster": view["clusters"][0]["name"], "user": "job"}}]
    view["current-context"] = "job"
    file = folder / "kubeconfig.json"
    file.write_text(json.dumps(view))
    return file


@dataclass(frozen=True)
class Job:
    """The rollout job, run by this machine as its ServiceAccount.

    Attributes:
        folder: where kubeconfig and policy are.
        address: of the registry.
        predictions: for each version, what it answers for X.
    """

    folder: Path
    address: str
    predictions: dict[str, str]

    def command(self, what: str, *options: str) -> list[str]:
        """The words of a command."""
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        site = ["--namespace", NAMESPACE, "--registry-root", REGISTRY, "--tracking-uri", self.address]
        module = "components.commands.rollout"
        return [sys.executable, "-m", module, what, *site, "--policy", str(policy), *options]

    def start(self, what: str, *options: str) -> "subprocess.Popen[str]":
        """Begin a command."""
        return subprocess.Popen(
            self.command(what, *options),
            cwd=ROOT,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, what: str, *options: str, status: int = 0) -> str:
        """Carry out a command, which ends with this status; returns what it said."""
        process = self.start(what, *options)
        said, _ = process.communicate(timeout=400)
        assert process.returncode == status, said
        return said

    def proposal(self, folder: Path, what: str, *options: str) -> str:
        """What a command has to say on its standard output, run in a folder."""
        done = subprocess.run(
            self.command(what, *options),
            cwd=folder,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            check=False,
            timeout=100,
        )
        assert done.returncode == 1
        return done.stdout

    def _environment(self) -> dict[str, str]:
        # Compiled once, as in the image: a start is measured, and not a compiler.
        compiled = {"PYTHONPYCACHEPREFIX": str(self.folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        return os.environ | compiled | {"KUBECONFIG": str(self.folder / "kubeconfig.json")}

    def kill_when(self, process: "subprocess.Popen[str]", phrase: str) -> str:
        """Kill a command, as a lost node does, as soon as it said something; returns what it said."""
        said = ""
        for line in process.stdout or ():
            said += line
            if phrase in line:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        assert phrase in said, said
        return said


def pods(name: str = NAME) -> list[Object]:
    """The pods of a predictor, those that are ending too."""
    found: list[Object] = get("-n", NAMESPACE, "pods", "-l", f"serving.kserve.io/inferenceservice={name}")[
        "items"
    ]
    return found


def told(pod: str) -> str:
    """The version that a pod says it serves."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/v2/models/{NAME}"
    return str(json.loads(kubectl("get", "--raw", path))["versions"][0])


def served(*, ending: bool = False) -> set[str]:
    """The versions that pods say they serve: those that are ready, and where asked for those told to end."""
    return {
        told(pod["metadata"]["name"])
        for pod in pods()
        if is_ready(pod) or (ending and "deletionTimestamp" in pod["metadata"])
    }


def weights() -> set[int]:
    """The canary's weight, in each rule of each route."""
    return {
        backend["weight"]
        for kind in ("httproute", "grpcroute")
        for rule in get("-n", NAMESPACE, kind, NAME)["spec"]["rules"]
        for backend in rule["backendRefs"]
        if backend["name"] == f"{CANARY}-predictor"
    }


def progress() -> str:
    """What the HTTPRoute remembers of a canary."""
    annotations = get("-n", NAMESPACE, "httproute", NAME)["metadata"].get("annotations", {})
    return str(annotations.get("linear-regressor/rollout", ""))


def deadline() -> float:
    """Until when the weight that stands may stand, in seconds since the epoch."""
    return float(json.loads(progress())["deadline"])


def holder() -> str:
    """Who holds the lease; empty where nobody does."""
    return str(get("-n", NAMESPACE, "lease", f"{NAME}-rollout")["spec"].get("holderIdentity", ""))


def job_pods() -> dict[str, str]:
    """The pods of the CronJob, and which of their phases each is in."""
    found = get("-n", NAMESPACE, "pods", "-l", "app.kubernetes.io/component=rollout")["items"]
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in found}


def events() -> str:
    """What Events say of the InferenceService."""
    items = get("-n", NAMESPACE, "events")["items"]
    return "\n".join(f"{item['reason']}: {item['message']}" for item in items)
