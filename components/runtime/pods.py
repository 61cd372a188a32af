"""Sets resources, user, credentials and retries of a step's pod on a cluster."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from kfp import kubernetes

from components.runtime.step import SECRET_FOLDER

USER = 65532
# Its keys are environment variables (components.runtime.step). It is optional: a store and a registry may
# need no credentials, or know the pod by its ServiceAccount.
SECRET = "linear-regressor-pipeline"  # noqa: S105 - its name
TIMEOUT_SECONDS = 3600
# With their pauses they outlast a store or a registry that is unavailable for a minute.
RETRIES = 3


def prepare(task: Any) -> None:
    """Set a task's resources, user, credentials, and retries for a lost pod.

    Every step may run again: it writes new artifacts, or finds its earlier work in the registry.
    """
    task.set_cpu_request("100m").set_cpu_limit("2").set_memory_request("256Mi").set_memory_limit("4Gi")
    task.set_retry(RETRIES, backoff_duration="10s", backoff_factor=2, backoff_max_duration="10800s")
    kubernetes.set_timeout(task, TIMEOUT_SECONDS)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.use_field_path_as_env(task, "NAMESPACE", "metadata.namespace")
    # As files: before KFP 2.15 a Secret that is to be the environment is never optional.
    kubernetes.use_secret_as_volume(task, SECRET, str(SECRET_FOLDER), optional=True)


@contextmanager
def on_this_machine(pipeline: Any, without: Collection[str]) -> Iterator[None]:
    """Remove what holds on a cluster only: the steps' retries, and variables of their environment.

    A second try on one machine ends as the first did.

    Args:
        pipeline: as KFP compiled it.
        without: the names of the variables.
    """
    spec = pipeline.pipeline_spec
    whole = type(spec)()
    whole.CopyFrom(spec)
    for part in (spec.root, *spec.components.values()):
        for task in part.dag.tasks.values():
            task.ClearField("retry_policy")
    for executor in spec.deployment_spec["executors"].values():
        container = executor["container"]
        if "env" in container:
            container["env"] = [dict(one) for one in container["env"] if one["name"] not in without]
    try:
        yield
    finally:
        spec.CopyFrom(whole)
