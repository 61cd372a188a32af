"""Runs and schedules on a cluster's Kubeflow Pipelines, through its client."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

# Every state of a run that does not change any more.
FINISHED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
POLL_SECONDS = 2.0


def upload(client: Any, name: str, package: Path, namespace: str | None) -> tuple[str, str]:
    """Upload a compiled pipeline, unless the cluster has it: a version is named by the digest of its content.

    Returns:
        The ids of pipeline and version.
    """
    version = hashlib.sha256(package.read_bytes()).hexdigest()[:16]
    pipeline_id = client.get_pipeline_id(name)
    if pipeline_id is None:
        pipeline_id = client.upload_pipeline(str(package), name, namespace=namespace).pipeline_id
    found = client.list_pipeline_versions(pipeline_id, filter=_named(version)).pipeline_versions or []
    if not found:
        found = [client.upload_pipeline_version(str(package), version, pipeline_id=pipeline_id)]
    return pipeline_id, found[0].pipeline_version_id


def follow(client: Any, run_id: str) -> bool:
    """Show each step of a run as it changes, until the run has ended; returns whether it succeeded."""
    shown: dict[str, str] = {}
    while True:
        run = client.get_run(run_id)
        # The details arrive after the state, and some of them have no name.
        for task in (run.run_details and run.run_details.task_details) or []:
            if task.display_name and task.state and shown.get(task.display_name) != task.state:
                shown[task.display_name] = task.state
                print(f"{task.display_name:<20} {task.state.lower()}", flush=True)
        if run.state in FINISHED:
            reason = f": {run.error.message}" if run.error else ""
            print(f"run {run_id} {run.state.lower()}{reason}")
            return bool(run.state == "SUCCEEDED")
        time.sleep(POLL_SECONDS)


def schedule(client: Any, job: dict[str, Any], cron: str, *, catch_up: bool) -> str:
    """Make a recurring run, one at a time, in place of those of the same name; returns its id.

    Args:
        client: of Kubeflow Pipelines.
        job: the arguments of the run; ``job_name`` and ``experiment_id`` tell which it replaces.
        cron: six fields, seconds first.
        catch_up: whether to make up for runs that were missed.
    """
    filters = {"experiment_id": job["experiment_id"], "filter": _named(job["job_name"]), "page_size": 100}
    replaced = client.list_recurring_runs(**filters).recurring_runs or []
    created = client.create_recurring_run(
        **job, cron_expression=cron, max_concurrency=1, no_catchup=not catch_up
    )
    for old in replaced:
        client.delete_recurring_run(old.recurring_run_id)
    return str(created.recurring_run_id)


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
