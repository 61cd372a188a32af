"""Runs and schedules on a cluster's Kubeflow Pipelines, through its client."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kfp_server_api.exceptions import ApiException
from urllib3.exceptions import HTTPError

from components.operations.cli.errors import CommandError, during
from components.operations.cli.steps import describe, steps

# The final states of a run.
FINISHED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
LATEST = "created_at desc"


@contextmanager
def asking(host: str) -> Iterator[None]:
    """Report in one line that Kubeflow Pipelines rejects a request, or can't be reached.

    Raises:
        CommandError: it refused, or something else outside failed.
    """
    with during(f"Kubeflow Pipelines at {host}"):
        try:
            yield
        except ApiException as error:
            raise CommandError(f"Kubeflow Pipelines at {host}: {error.status}: {_message(error)}") from error


def _message(error: ApiException) -> str:
    """Return the message of the server, or of the proxy in front of it."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, LookupError, TypeError):
        return str(error.reason)


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
        run = _patiently(client, run_id)
        for step in steps(run):
            if shown.get(step.name) != (said := describe(step)):
                shown[step.name] = said
                print(f"{step.name:<10} {said}", flush=True)
        if run.state in FINISHED:
            reason = f": {run.error.message}" if run.error else ""
            print(f"run {run_id} {run.state.lower()}{reason}")
            return bool(run.state == "SUCCEEDED")
        time.sleep(POLL_SECONDS)


def _patiently(client: Any, run_id: str) -> Any:
    """Read a run, with retries while the server is briefly unavailable."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return client.get_run(run_id)
        except (ApiException, HTTPError) as error:
            refused = isinstance(error, ApiException) and error.status and error.status < 500
            if refused or time.monotonic() > until:
                raise
        time.sleep(POLL_SECONDS)


def latest(client: Any, experiment_id: str, count: int) -> list[Any]:
    """Return the newest runs of an experiment, newest first."""
    found = client.list_runs(experiment_id=experiment_id, sort_by=LATEST, page_size=count).runs
    return list(found or [])


def recent(client: Any, experiment_id: str, within: timedelta) -> Any | None:
    """Return the newest run that was started within this time and did not fail; None without one."""
    since = datetime.now(UTC) - within
    for run in latest(client, experiment_id, 50):
        if run.created_at > since and run.state not in ("FAILED", "CANCELED", "SKIPPED"):
            return run
    return None


def schedule(client: Any, job: dict[str, Any], cron: str, *, catch_up: bool) -> str:
    """Create a recurring run in place of those of the same name; returns its id. Its runs do not overlap.

    One with the same settings is left alone, and with it the time of its next run. The new one is
    created before the old one is deleted. After a crash in between there are two; the next call leaves one.

    Args:
        client: of Kubeflow Pipelines.
        job: the arguments of the run; ``job_name`` and ``experiment_id`` tell which it replaces.
        cron: six fields, seconds first.
        catch_up: whether to make up for runs that were missed.
    """
    filters = {"experiment_id": job["experiment_id"], "filter": _named(job["job_name"]), "page_size": 100}
    standing = client.list_recurring_runs(**filters).recurring_runs or []
    kept = next((one for one in standing if _says(one, job, cron, catch_up=catch_up)), None)
    if kept is None:
        kept = client.create_recurring_run(
            **job, cron_expression=cron, max_concurrency=1, no_catchup=not catch_up
        )
    for old in standing:
        if old.recurring_run_id != kept.recurring_run_id:
            _retire(client, old)
    return str(kept.recurring_run_id)


def _retire(client: Any, standing: Any) -> None:
    """Stop a schedule from starting runs.

    One that is under way would go with its schedule, which is disabled then; the next call deletes it.
    """
    runs = latest(client, standing.experiment_id, 50)
    if any(run.recurring_run_id == standing.recurring_run_id and run.state not in FINISHED for run in runs):
        client.disable_recurring_run(standing.recurring_run_id)
    else:
        client.delete_recurring_run(standing.recurring_run_id)


def _says(standing: Any, job: dict[str, Any], cron: str, *, catch_up: bool) -> bool:
    """Return whether a recurring run has these settings already."""
    runtime, trigger = standing.runtime_config, standing.trigger
    return bool(
        standing.status == "ENABLED"
        and trigger.cron_schedule
        and trigger.cron_schedule.cron == cron
        and bool(standing.no_catchup) is not catch_up
        and standing.pipeline_version_reference.pipeline_version_id == job["version_id"]
        and (runtime.parameters or {}) == job["params"]
        and (runtime.pipeline_root or None) == job["pipeline_root"]
        and (job["service_account"] or standing.service_account) == standing.service_account
    )


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
