"""``make status``: which pod serves which version, and which one fails and why.

KServe's InferenceService stays Ready through a broken rollout, for the old pods go on serving, so it is not
asked: the pods are, by kubectl alone. Exits with 1 unless every pod is ready, and serves the version wanted.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SERVICE = "serving.kserve.io/inferenceservice"
VERSION = "linear-regressor/model-version"
SERVER = "kserve-container"


@dataclass(frozen=True)
class Pod:
    """A pod as it stands.

    Attributes:
        service: the InferenceService that it is of.
        version: the version that it is to serve.
        image: the predictor's image.
        trouble: why it doesn't serve; empty when it does.
        ending: whether it was told to end.
    """

    name: str
    service: str
    version: str
    image: str
    trouble: str
    ending: bool


def kubectl(*arguments: str) -> str:
    """Run kubectl, and return what it says, or what it said of its failure."""
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else done.stderr


def read(pod: Object) -> Pod:
    """Judge a pod by what Kubernetes says of it."""
    meta, spec = pod["metadata"], pod["spec"]
    server = next(container for container in spec["containers"] if container["name"] == SERVER)
    return Pod(
        name=meta["name"],
        service=meta["labels"][SERVICE],
        version=meta.get("annotations", {}).get(VERSION, "none"),
        image=server["image"],
        trouble="; ".join(troubles(pod)),
        ending="deletionTimestamp" in meta,
    )


def troubles(pod: Object) -> Iterator[str]:
    """Yield each reason why a pod doesn't serve, the first cause first."""
    status = pod["status"]
    conditions = {entry["type"]: entry for entry in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"no node takes it: {scheduled.get('message', '')}"
    if status.get("reason"):
        yield f"{status['reason']}: {status.get('message', '')}"
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    stuck = list(filter(None, map(_stuck, containers)))
    yield from stuck
    if not stuck and scheduled.get("status") == "True":
        yield "it runs, and is not ready"


def _stuck(container: Object) -> str:
    """Say why a container doesn't run; nothing when it does, or has done its work."""
    state = container["state"]
    for which in (state, container.get("lastState", {})):
        ended = which.get("terminated", {})
        if ended.get("exitCode"):
            said = (ended.get("message") or "").strip().splitlines()
            return f"{container['name']} ended with {ended['exitCode']}{': ' + said[-1] if said else ''}"
    waiting = state.get("waiting", {})
    if waiting.get("reason") in {None, "PodInitializing", "ContainerCreating"}:
        return ""
    return f"{container['name']} waits, {waiting['reason']}: {waiting.get('message', '')}"


def explain(pod: Pod, namespace: str) -> str:
    """Return the last error that the server of a pod wrote, which says more than a failed probe."""
    lines = kubectl("-n", namespace, "logs", pod.name, "-c", SERVER, "--tail=200").splitlines()
    errors = list(filter(None, map(_error, lines)))
    return f"{SERVER} says: {errors[-1]}" if errors else ""


def _error(line: str) -> str:
    """Return the message of a line of the log that tells of an error; nothing for another."""
    try:
        entry = json.loads(line)
        return str(entry["message"]) if entry["level"] in {"error", "critical"} else ""
    except (ValueError, TypeError, KeyError):
        return line if line.startswith(("ERROR", "CRITICAL")) else ""


def wanted(service: Object) -> str:
    """Return the version that an InferenceService asks for."""
    version: str = service["metadata"].get("annotations", {}).get(VERSION, "none")
    return version


def told(pod: Pod, namespace: str, model: str) -> str:
    """Return the version that a pod says it serves, or what it says instead."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}:8080/proxy/v2/models/{model}"
    answer = kubectl("get", "--raw", path)
    try:
        return str((json.loads(answer).get("versions") or ["none"])[0])
    except ValueError:
        return answer.strip()


def main() -> int:
    """Print a line for each pod; return 1 when any is not what it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", "--namespace", default="linear-regressor")
    parser.add_argument("--model", default="linear-regressor", help="the model's name in the predictor")
    options = parser.parse_args()
    chosen = (
        "-n",
        options.namespace,
        "-l",
        "app.kubernetes.io/name=linear-regressor,app.kubernetes.io/component=predictor",
    )
    answer = kubectl("get", "inferenceservices,pods", *chosen, "-o", "json")
    try:
        items = json.loads(answer)["items"]
    except ValueError:
        print(answer.strip(), file=sys.stderr)
        return 2
    versions = {
        item["metadata"]["name"]: wanted(item) for item in items if item["kind"] == "InferenceService"
    }
    pods = sorted(
        map(read, (item for item in items if item["kind"] == "Pod")), key=lambda pod: (pod.service, pod.name)
    )
    right = bool(versions)
    for service, version in sorted(versions.items()):
        print(f"{service}: version {version} is wanted")
        of_service = [pod for pod in pods if pod.service == service]
        right &= bool(of_service)
        for pod in of_service:
            line, good = _line(pod, version, options.namespace, options.model)
            right &= good
            print(f"  {line}")
    if not versions:
        print(f"no InferenceService in the namespace {options.namespace}", file=sys.stderr)
    return 0 if right else 1


def _line(pod: Pod, version: str, namespace: str, model: str) -> tuple[str, bool]:
    about = f"{pod.name} (version {pod.version}, {pod.image})"
    if pod.ending:
        return f"ENDING  {about}", False
    if pod.trouble:
        words = "; ".join(filter(None, [pod.trouble, explain(pod, namespace)]))
        return f"FAILS   {about}: {words}", False
    says = told(pod, namespace, model)
    if says != version:
        return f"OTHER   {about}: it serves {says}", False
    return f"SERVES  {about}", True


if __name__ == "__main__":
    sys.exit(main())
