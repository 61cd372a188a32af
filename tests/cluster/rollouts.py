"""An installation of its own whose version the rollout job owns, with a registry of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.installers import NAME, ROOT, STORE
from tests.cluster.kube import Object, get, kubectl, run

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


def install(image: str, pods: int = 2) -> None:
    """Install the chart with canary and job; the CronJob sleeps, for each test runs the job itself."""
    repository, _, tag = image.rpartition(":")
    store = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": OWN_STORE}}}]
    values = {
        "image": {"repository": repository, "tag": tag},
        "storage": {"secretName": STORE},
        "model": {"storageUri": f"{REGISTRY}/models/{NAME}/1/"},
        "replicas": {"min": pods, "max": pods},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "autoscaling": {"type": "none"},
        "scheduling": {"whenUnsatisfiable": "ScheduleAnyway"},
        "routing": {"host": HOST, "grpcHost": f"grpc.{HOST}"},
        "canary": {"enabled": True, "storageUri": f"{REGISTRY}/models/{NAME}/1/"},
        "rollout": {"enabled": True, "schedule": "0 0 29 2 *"},
        "networkPolicy": {"store": {"to": store, "port": 9000}},
    }
    chart = str(ROOT / "helm" / NAME)
    run("helm", "upgrade", "--install", NAME, chart, "-n", NAMESPACE, "-f", "-", stdin=json.dumps(values))


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
        folder: where registry and kubeconfig are.
        predictions: for each version, what it answers for X.
    """

    folder: Path
    predictions: dict[str, str]

    def command(self, what: str, *options: str) -> list[str]:
        """The words of a command."""
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        index = f"sqlite:///{self.folder / 'mlflow.db'}"
        site = ["--namespace", NAMESPACE, "--registry-root", REGISTRY, "--tracking-uri", index]
        module = "components.commands.rollout"
        return [sys.executable, "-m", module, what, *site, "--policy", str(policy), *options]

    def start(self, what: str, *options: str) -> "subprocess.Popen[str]":
        """Begin a command."""
        environment = os.environ | {"KUBECONFIG": str(self.folder / "kubeconfig.json")}
        return subprocess.Popen(
            self.command(what, *options),
            cwd=ROOT,
            env=environment,
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


def served(name: str = NAME) -> set[str]:
    """The versions that all pods say they serve."""
    return {told(pod["metadata"]["name"]) for pod in pods(name)}


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


def events() -> str:
    """What Events say of the InferenceService."""
    items = get("-n", NAMESPACE, "events")["items"]
    return "\n".join(f"{item['reason']}: {item['message']}" for item in items)
