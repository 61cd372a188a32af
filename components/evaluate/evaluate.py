"""The step: read the models, score them on the held-out rows, write the report and its page."""

from pathlib import Path

from components.data import dataset as datasets
from components.data import report as reports
from components.data.compare import Entry, compare
from components.data.report import Report
from components.evaluate.page import render
from components.registry.registry import Registry
from predictor.model import artifact


def evaluate(
    dataset_folder: str | Path,
    model_folder: str | Path,
    registry: Registry,
    report_file: str | Path,
    page_file: str | Path,
) -> Report:
    """Score the candidate and the registry's champion on the dataset's held-out rows.

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
    report = compare(dataset, candidate, champion)
    reports.write(report, report_file)
    Path(page_file).parent.mkdir(parents=True, exist_ok=True)
    Path(page_file).write_text(render(report, dataset, candidate, champion), encoding="utf-8")
    return report
