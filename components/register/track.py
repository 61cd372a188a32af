"""Writes a pipeline run to MLflow: its parameters, metrics, and the reports of its steps."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.data import report as reports
from components.register.register import Run
from components.registry.registry import Registration, Registry


def track(
    registry: Registry,
    tracked: str,
    done: Registration,
    run: Run,
    parameters: Mapping[str, Any],
    training: Mapping[str, Any],
    report: str | Path,
    pages: Mapping[str, str | Path],
) -> None:
    """Write a run that ended.

    Args:
        registry: whose MLflow it is written to.
        tracked: MLflow's id of the run.
        done: what became of it.
        run: the pipeline run.
        parameters: of the training, and what is known of the data.
        training: its metrics by name.
        report: the evaluation's report.
        pages: HTML by the name to keep it under. A page that is not there is left out.
    """
    scores = reports.read(report).candidate.scores
    metrics = {name: float(value) for name, value in training.items() if isinstance(value, int | float)}
    metrics |= asdict(scores) if scores else {}
    tags = {
        "model_version": str(done.version),
        "promoted": str(done.decision.promote).lower(),
        "decision": "; ".join(done.decision.reasons),
        "reason": run.reason,
        "git_commit": run.git_commit,
    }
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, page in pages.items():
            if Path(page).is_file():
                files.append(Path(shutil.copyfile(page, Path(folder) / f"{name}.html")))
        registry.end_run(tracked, parameters, metrics, {k: v for k, v in tags.items() if v}, files)
