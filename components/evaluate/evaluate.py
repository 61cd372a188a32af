"""The step: read the models, score them on the held-out rows, write the report and its page."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from components.data import dataset as datasets
from components.data import report as reports
from components.data.compare import Entry, compare, held_out
from components.data.dataset import Dataset
from components.data.report import Report
from components.evaluate.page import render
from components.registry.registry import Registry
from predictor.model import artifact
from predictor.model.evaluation import Evaluation


def evaluate(
    dataset_folder: str | Path,
    model_folder: str | Path,
    registry: Registry,
    report_file: str | Path,
    page_file: str | Path,
) -> Report:
    """Score the candidate and the registry's champion on the data set's held-out rows.

    Args:
        dataset_folder: what ingest wrote.
        model_folder: the candidate, as train wrote it.
        registry: which knows the champion. One that can't be reached is an error, not an absent champion.
        report_file: where the report goes, for the gate.
        page_file: where the same goes as HTML, for people.
    """
    dataset = datasets.read(dataset_folder)
    candidate = Entry(*artifact.read(model_folder))
    champion = registry.entry(version) if (version := registry.champion()) else None
    report = replace(compare(dataset, candidate, champion), evaluation=evaluation_of(dataset, candidate))
    reports.write(report, report_file)
    Path(page_file).parent.mkdir(parents=True, exist_ok=True)
    Path(page_file).write_text(render(report, dataset, candidate, champion), encoding="utf-8")
    return report


def evaluation_of(dataset: Dataset, entry: Entry) -> Evaluation | None:
    """Evaluate a model for its folder; None if its errors are beyond the range of a double."""
    actual, predicted = held_out(dataset, entry.model)
    try:
        return Evaluation.of(
            actual,
            predicted,
            mean=dataset.target_mean,
            digest=entry.digest,
            source=_without_folders(dataset.source),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except ValueError:
        return None


def _without_folders(source: str) -> str:
    """Leave the folders of local paths out: the page shows the source to everybody."""
    return re.sub(r"(?<![\w:/])/(?:[^\s/]+/)+", "", source)
