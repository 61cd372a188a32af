"""Records pipeline runs in MLflow: parameters, metrics and reports, linked with the version a run makes.

A registration does not depend on it: what MLflow refuses is printed and left out. A user may be allowed to
register versions but not to make experiments, and the store of the artifacts may be out of a step's reach.
"""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUN_ID_TAG = "pipeline_run_id"
# MLflow's own limit.
PARAMETER_CHARACTERS = 6000


def begin(client: Any, experiment: str, artifacts: str | None, run_id: str, name: str) -> str:
    """Return MLflow's id of a pipeline run, created if needed; empty if MLflow refuses.

    Args:
        client: of MLflow.
        experiment: its name; it is made if it is not there.
        artifacts: where the experiment keeps files; None for where the server keeps them.
        run_id: of the pipeline run.
        name: of the pipeline run, for people.
    """
    run: Any = None
    with _reported("the run"):
        known = client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else client.create_experiment(experiment, artifacts)
        found = client.search_runs([number], f"tags.{RUN_ID_TAG} = '{run_id}'", max_results=1)
        run = (
            found[0]
            if found
            else client.create_run(number, tags={RUN_ID_TAG: run_id}, run_name=name or run_id)
        )
    return str(run.info.run_id) if run else ""


def end(
    client: Any,
    tracked: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    reports: Iterable[Path],
) -> None:
    """Write the results of a run."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    with _reported("parameters and metrics"):
        client.log_batch(
            tracked,
            [Metric(name, value, now, 0) for name, value in metrics.items() if math.isfinite(value)],
            [Param(name, str(value)[:PARAMETER_CHARACTERS]) for name, value in parameters.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )
    with _reported("the reports"):
        for report in reports:
            client.log_artifact(tracked, str(report), "reports")
    with _reported("the end of the run"):
        client.set_terminated(tracked)


@contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
        print(f"MLflow did not take {what}: {type(error).__name__}: {error}", file=sys.stderr)
