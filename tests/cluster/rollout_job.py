"""Run the rollout job from this machine, and read what it did on the cluster."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.registry.index import CHAMPION
from components.registry.registry import Registry
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import Object, get, is_ready, kubectl, wait_for
from tests.cluster.service import predictor_pods, served_version

NAMESPACE = f"{NAME}-rollout"
STORE_NAMESPACE = f"{NAMESPACE}-store"
HOST = "rollout.example.com"
REGISTRY = "s3://registry"
CANARY = f"{NAME}-canary"
SERVICE_ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}-rollout"
POLICY: dict[str, Any] = {
    "steps": [{"weight": 20, "seconds": 6}, {"weight": 50, "seconds": 6}],
    "requests": 40,
    "errorRatio": 0.02,
    # The whole test cluster may share two cores, so only a very slow version counts as slow.
    "latencyRatio": 4,
    "latencyFloor": 0.2,
    "rate": 40,
    "readySeconds": 120,
}
NEVER = "0 0 29 2 *"
MISSING = ", ".join(name for name in ("PIPELINE_IMAGE", "REGISTRY_IMAGE") if not os.environ.get(name))


@dataclass(frozen=True)
class Job:
    """The rollout job, run on this machine as its ServiceAccount.

    Attributes:
        folder: the folder of kubeconfig and policy.
        address: the registry's address.
        responses: each version's exact response for X, as the value of each of its inputs.
    """

    folder: Path
    address: str
    responses: dict[str, str]

    def command(self, name: str, *options: str) -> list[str]:
        """Return the command line of a command."""
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        site = ["--namespace", NAMESPACE, "--registry-root", REGISTRY, "--tracking-uri", self.address]
        module = "components.operations.cli.rollout"
        return [sys.executable, "-m", module, name, *site, "--policy", str(policy), *options]

    def start(self, name: str, *options: str) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            self.command(name, *options),
            cwd=ROOT,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, name: str, *options: str, status: int = 0) -> str:
        """Run a command that exits with this status; returns its output."""
        process = self.start(name, *options)
        output, _ = process.communicate(timeout=400)
        assert process.returncode == status, output
        return output

    def proposed_diff(self, folder: Path, name: str, *options: str) -> str:
        """Run a command in a folder; returns the change that it proposes on its standard output."""
        done = subprocess.run(
            self.command(name, *options),
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
        # Bytecode is cached, as in the image, so that measured times include no compilation.
        compiled = {"PYTHONPYCACHEPREFIX": str(self.folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        return os.environ | compiled | {"KUBECONFIG": str(self.folder / "kubeconfig.json")}

    def kill_after(self, process: "subprocess.Popen[str]", phrase: str) -> str:
        """Kill a command with SIGKILL as soon as it prints a phrase; returns its output up to then."""
        output = ""
        for line in process.stdout or ():
            output += line
            if phrase in line:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        assert phrase in output, output
        return output


def make_champion(registry: Registry, number: int) -> None:
    """Make a version champion, as the gate does."""
    registry._index.tag(number, "previous_champion", str(champion(registry)))
    registry._index.point(CHAMPION, number)


def champion(registry: Registry) -> int:
    """Return the champion's number."""
    found = registry.champion()
    assert found
    return found.number


def assert_no_canary_is_left(registry: Registry, number: int) -> None:
    """Check that the canary has no weight, no rollout is under way, and a version is champion."""
    assert canary_weights() == {0}
    assert not canary_state()
    assert champion(registry) == number


def scale(count: int) -> None:
    """Change the number of stable pods, and wait until all of them serve."""
    number = {"spec": {"predictor": {"minReplicas": count, "maxReplicas": count}}}
    kubectl("-n", NAMESPACE, "patch", "inferenceservice", NAME, "--type=merge", "-p", json.dumps(number))

    def all_serve() -> bool:
        found = predictor_pods(NAMESPACE, NAME)
        return len(found) == count and all(served_version(NAMESPACE, pod) for pod in found)

    wait_for(f"{count} pods", all_serve, 180, pause=2)


def set_schedule(cron: str, policy: Mapping[str, Any]) -> None:
    """Change the CronJob's schedule and policy."""
    data = json.dumps({"data": {"policy.json": json.dumps(policy)}})
    kubectl("-n", NAMESPACE, "patch", "configmap", f"{NAME}-rollout", "--type=merge", "-p", data)
    spec = json.dumps({"spec": {"schedule": cron}})
    kubectl("-n", NAMESPACE, "patch", "cronjob", f"{NAME}-rollout", "--type=merge", "-p", spec)


def served_versions(*, ending: bool = False) -> set[str | None]:
    """Return the versions served by ready pods, and with ``ending`` also by pods being deleted."""
    return {
        served_version(NAMESPACE, pod)
        for pod in predictor_pods(NAMESPACE, NAME)
        if is_ready(pod) or (ending and "deletionTimestamp" in pod["metadata"])
    }


def canary_weights() -> set[int]:
    """Return the canary's weights in all rules of all routes."""
    return {
        backend["weight"]
        for kind in ("httproute", "grpcroute")
        for rule in get("-n", NAMESPACE, kind, NAME)["spec"]["rules"]
        for backend in rule["backendRefs"]
        if backend["name"] == f"{CANARY}-predictor"
    }


def canary_state() -> str:
    """Return the rollout state that the HTTPRoute's annotation holds; empty if no rollout is under way."""
    annotations = get("-n", NAMESPACE, "httproute", NAME)["metadata"].get("annotations", {})
    return str(annotations.get("linear-regressor/rollout", ""))


def weight_deadline() -> float:
    """Return when the canary's weight expires, in seconds since the epoch."""
    return float(json.loads(canary_state())["deadline"])


def lease_holder() -> str:
    """Return the holder of the job's Lease; empty if nobody holds it."""
    return str(get("-n", NAMESPACE, "lease", f"{NAME}-rollout")["spec"].get("holderIdentity", ""))


def job_phases() -> dict[str, str]:
    """Return the phase of each pod of the CronJob."""
    found = get("-n", NAMESPACE, "pods", "-l", "app.kubernetes.io/component=rollout")["items"]
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in found}


def events() -> str:
    """Return the namespace's Events, one a line."""
    items = get("-n", NAMESPACE, "events")["items"]
    return "\n".join(f"{item['reason']}: {item['message']}" for item in items)


def patch_as(kind: str, change: list[Object], user: str | None, *options: str) -> None:
    """Patch an object as a user; None is the cluster's administrator."""
    words = ["-n", NAMESPACE, "patch", kind, NAME, "--type=json", "-p", json.dumps(change)]
    kubectl(*words, *([f"--as={user}"] if user else []), *options)
