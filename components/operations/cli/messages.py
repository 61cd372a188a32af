"""Reads the logs of a run's steps from Kubernetes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.operations.cli.errors import CommandError

NODE = "workflows.argoproj.io/node-name"
LINES = 40


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pod of a step.

    Attributes:
        step: its name.
        pod: its name.
        failed: whether it ended, and not well.
        reason: why, in the step's or in Kubernetes' own words.
    """

    step: str
    pod: str
    failed: bool
    reason: str = ""


def attempts(core: Any, namespace: str, run_id: str) -> list[Attempt]:
    """Return the pods of a run's steps, in the order of their creation."""
    found = core.list_namespaced_pod(namespace, label_selector=f"pipeline/runid={run_id}").items
    found.sort(key=lambda pod: pod.metadata.creation_timestamp)
    return list(_steps(found))


def log(core: Any, namespace: str, attempt: Attempt) -> str:
    """Return the end of an attempt's log, or the reason of its failure if the log is gone."""
    from kubernetes.client import ApiException

    try:
        said = core.read_namespaced_pod_log(attempt.pod, namespace, container="main", tail_lines=LINES)
    except ApiException as error:
        said = f"(its log can't be read: {error.reason})"
    # A node that has lost the file returns a message about it instead of an error.
    if "failed to try resolving symlinks" in said:
        said = "(its log is gone)"
    return "\n".join(part.rstrip() for part in (said, attempt.reason) if part)


def connect() -> Any:
    """Return the core API of this pod's cluster, or of KUBECONFIG.

    Raises:
        CommandError: there is none.
    """
    from kubernetes import client, config

    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config()
        else:
            config.load_kube_config()
    except config.ConfigException as error:
        raise CommandError(f"reading logs needs a KUBECONFIG of the cluster: {error}") from error
    return client.CoreV1Api()


def _steps(pods: list[Any]) -> Iterator[Attempt]:
    for pod in pods:
        # Such as run.root.ingest.executor(0); drivers have other names.
        path = (pod.metadata.annotations or {}).get(NODE, "").split(".")
        if len(path) < 2 or not path[-1].startswith("executor"):
            continue
        main = next((one for one in pod.status.container_statuses or [] if one.name == "main"), None)
        state = main and main.state
        ended = state and state.terminated
        waiting = state and state.waiting
        reason = (
            (ended and (ended.message or ended.reason)) or (waiting and waiting.message) or pod.status.message
        )
        failed = pod.status.phase == "Failed" or bool(ended and ended.exit_code)
        yield Attempt(path[-2], pod.metadata.name, failed, reason or "")
