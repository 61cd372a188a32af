"""What the client of Kubeflow Pipelines returns, as far as the commands read it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace as Record
from typing import Any

HOST = ["--host", "http://kfp.example"]
MLFLOW = "http://mlflow:5000"
ROOT = ["--param", "registry_root=s3://models", "--param", f"tracking_uri={MLFLOW}"]


def run_with(state: str, tasks: list[Any] | None = None, error: str = "") -> Record:
    """Make a run with the tasks of its steps."""
    details = Record(task_details=tasks)
    return Record(state=state, run_details=details, error=Record(message=error) if error else None)


def task(name: str | None, state: str | None, *children: str, at: int = 0) -> Record:
    """Make a task with the names of its pods, started ``at`` seconds after a fixed time."""
    nodes = [Record(pod_name=child) for child in children]
    started = datetime(2026, 1, 1, second=at, tzinfo=UTC)
    return Record(display_name=name, state=state, child_tasks=nodes, start_time=started)


def listed_run(state: str, minutes_ago: float, run_id: str = "r0", reason: str = "by hand") -> Record:
    """Make a run as it is listed, without its tasks."""
    return Record(
        run_id=run_id,
        state=state,
        created_at=datetime.now(UTC) - timedelta(minutes=minutes_ago),
        runtime_config=Record(parameters={"reason": reason}),
    )
