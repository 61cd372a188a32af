"""``make status``: which pod serves which version, and which one fails and why.

The InferenceService stays Ready through a broken rollout, because the old pods go on serving. So this asks
the pods, with kubectl alone. Exits with 0 if every pod is ready and serves the version wanted, with 1 if one
does not, and with 2 if the cluster or the installation can't be found. A canary without a version is ignored.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SERVICE = "serving.kserve.io/inferenceservice"
VERSION = "linear-regressor/model-version"
INSTANCE = "app.kubernetes.io/instance"
HELM = "meta.helm.sh/release-name"
SERVER = "kserve-container"
INITIALIZER = "storage-initializer"


@dataclass(frozen=True)
class Pod:
    """The state of a pod.

    Attributes:
        service: the InferenceService it belongs to.
        version: the version it was made for.
        image: the predictor's image.
        trouble: why it fails; empty if it does not.
        waiting: what it waits for before it can serve; empty if it is ready or fails.
        ending: whether it is being deleted.
    """

    name: str
    service: str
    version: str
    image: str
    trouble: str
    waiting: str
    ending: bool


def kubectl(*arguments: str) -> str:
    """Run kubectl, and return its output, or its errors if it fails."""
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else done.stderr


def read(pod: Object) -> Pod:
    """Return the state of a pod from what Kubernetes reports."""
    meta, containers = pod["metadata"], pod["spec"]["containers"]
    images = [container["image"] for container in containers if container["name"] == SERVER]
    trouble = "; ".join(troubles(pod))
    return Pod(
        name=meta["name"],
        service=meta["labels"].get(SERVICE, ""),
        version=meta.get("annotations", {}).get(VERSION, "none"),
        image=images[0] if images else f"no {SERVER}",
        trouble=trouble,
        waiting="" if trouble else waiting(pod),
        ending="deletionTimestamp" in meta,
    )


def troubles(pod: Object) -> Iterator[str]:
    """Yield the reasons why a pod fails, the first cause first."""
    status = pod["status"]
    if _condition(pod, "Ready").get("status") == "True":
        return
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"no node takes it: {scheduled.get('message', '')}"
    if status.get("reason"):
        yield f"{status['reason']}: {status.get('message', '')}"
    # Containers wait for the first initializer that is not complete, and the other ones for it.
    stuck = list(filter(None, map(_stuck, _initializers(pod)[:1] or status.get("containerStatuses", []))))
    yield from stuck
    if not stuck and scheduled.get("status") == "True" and not waiting(pod):
        yield "it is not ready"


def waiting(pod: Object) -> str:
    """Return what a pod waits for before it can serve: an initializer, or its server's start."""
    initializers = _initializers(pod)
    if initializers:
        return _unfinished(initializers[0])
    containers = pod["status"].get("containerStatuses", [])
    starting = [entry["name"] for entry in containers if not entry.get("started", True)]
    return f"{starting[0]} is starting" if starting else ""


def _condition(pod: Object, kind: str) -> Object:
    found = [entry for entry in pod["status"].get("conditions", []) if entry["type"] == kind]
    return found[0] if found else {}


def _initializers(pod: Object) -> list[Object]:
    """Return the initializers that are not complete."""
    statuses = pod["status"].get("initContainerStatuses", [])
    return [entry for entry in statuses if not _is_complete(entry["state"])]


def _is_complete(state: Object) -> bool:
    ended: Object | None = state.get("terminated")
    return ended is not None and ended.get("exitCode") == 0


def _unfinished(initializer: Object) -> str:
    running = initializer["state"].get("running")
    since = f"has been running since {running['startedAt']}" if running else "has not started"
    return f"it waits for {initializer['name']}, which {since}"


def _stuck(container: Object) -> str:
    """Return why a container can't run; an empty text if it runs, has completed or is starting."""
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
    """Return the last error in the log of a pod's server, or else of its initializer or events."""
    for container in (SERVER, INITIALIZER):
        lines = kubectl("-n", namespace, "logs", pod.name, "-c", container, "--tail=200").splitlines()
        if errors := list(filter(None, map(_error, lines))):
            return f"{container} says: {errors[-1]}"
    chosen = f"--field-selector=type=Warning,involvedObject.name={pod.name}"
    said = kubectl("-n", namespace, "get", "events", chosen, "-o", "jsonpath={.items[-1:].message}")
    return said.strip()


def _error(line: str) -> str:
    """Return the message of a log line with an error; an empty text for other lines."""
    try:
        entry = json.loads(line)
        return str(entry["message"]) if entry["level"] in {"error", "critical"} else ""
    except (ValueError, TypeError, KeyError):
        return line if line.startswith(("ERROR", "CRITICAL")) else ""


def wanted(service: Object) -> str:
    """Return the version that an InferenceService asks for, or an empty text if it has none."""
    version: str = service["metadata"].get("annotations", {}).get(VERSION, "")
    uri: str = service["spec"]["predictor"].get("model", {}).get("storageUri", "")
    return version if uri else ""


def belongs(item: Object, release: str) -> bool:
    """Return whether an object belongs to a release, by Helm's annotation or by its name; to "" all do."""
    meta = item["metadata"]
    marks = {meta.get("labels", {}).get(INSTANCE), meta.get("annotations", {}).get(HELM)}
    return not release or release in marks


def served(pod: Pod, namespace: str, model: str) -> str:
    """Return the version that a pod reports, or its answer if it reports none."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}:8080/proxy/v2/models/{model}"
    answer = kubectl("get", "--raw", path)
    try:
        return str((json.loads(answer).get("versions") or ["none"])[0])
    except ValueError:
        return answer.strip()


def main() -> int:
    """Print a line for each pod; return 1 if any is not as it should be."""
    options = _parser().parse_args()
    label = "app.kubernetes.io/component=predictor"
    answer = kubectl("get", "inferenceservices,pods", "-n", options.namespace, "-l", label, "-o", "json")
    try:
        items = list(json.loads(answer)["items"])
    except ValueError:
        print(answer.strip(), file=sys.stderr)
        return 2
    services = [
        item for item in items if item["kind"] == "InferenceService" and belongs(item, options.release)
    ]
    if not services:
        of = f" of {options.release}" if options.release else ""
        print(f"no InferenceService{of} in the namespace {options.namespace}", file=sys.stderr)
        return 2
    pods = sorted((read(item) for item in items if item["kind"] == "Pod"), key=lambda pod: pod.name)
    right = True
    for service in sorted(services, key=lambda item: str(item["metadata"]["name"])):
        name = service["metadata"]["name"]
        of_service = [pod for pod in pods if pod.service == name]
        right &= _report(name, wanted(service), of_service, options)
    return 0 if right else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-n", "--namespace", default=os.environ.get("NAMESPACE", "linear-regressor"), help="also NAMESPACE"
    )
    parser.add_argument(
        "--release", default=os.environ.get("RELEASE", ""), help="one release of several; also RELEASE"
    )
    parser.add_argument("--model", default="linear-regressor", help="the model's name in the predictor")
    return parser


def _report(service: str, version: str, pods: list[Pod], options: argparse.Namespace) -> bool:
    """Print the pods of an InferenceService; return whether it is as it should be."""
    if not version:
        print(f"{service}: no version is chosen")
        return service.endswith("-canary")
    print(f"{service}: version {version} is wanted{'' if pods else ', and there is no pod'}")
    right = any(not pod.ending for pod in pods)
    for pod in pods:
        line, good = _line(pod, version, options.namespace, options.model)
        right &= good
        print(f"  {line}")
    return right


def _line(pod: Pod, version: str, namespace: str, model: str) -> tuple[str, bool]:
    about = f"{pod.name} (version {pod.version}, {pod.image})"
    if pod.ending:
        return f"ENDING  {about}", pod.version == version
    if pod.trouble:
        words = "; ".join(filter(None, [pod.trouble, explain(pod, namespace)]))
        return f"FAILS   {about}: {words}", False
    if pod.waiting:
        return f"WAITS   {about}: {pod.waiting}", False
    says = served(pod, namespace, model)
    if says != version:
        return f"OTHER   {about}: it serves {says}", False
    return f"SERVES  {about}", True


if __name__ == "__main__":
    sys.exit(main())
