import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from kfp.dsl import HTML, Artifact, Metrics, Model
from kfp.dsl import Dataset as DatasetArtifact

from components.data import report as reports
from components.data.compare import compare
from components.data.contamination import Contamination
from components.data.dataset import Dataset
from components.evaluate.component import evaluate as evaluate_component
from components.evaluate.evaluate import evaluate
from components.evaluate.page import render
from components.registry.decision import Decision
from components.registry.registry import open_registry
from components.reports.plots import COLOURS
from tests.components.conftest import MakeEntry
from tests.support.registry import empty_registry

SVG = "{http://www.w3.org/2000/svg}"


def test_page_says_why_a_champion_cannot_be_compared(dataset: Dataset, make_entry: MakeEntry) -> None:
    candidate, champion = make_entry(2.0), make_entry(1.0, feature="s5", version=1)
    page = render(compare(dataset, candidate, champion), dataset, candidate, champion)
    assert "can&#x27;t be compared" in page
    assert page.count("<svg") == 2


def test_page_says_that_the_champion_was_trained_on_held_out_rows(
    dataset: Dataset, make_entry: MakeEntry
) -> None:
    candidate, champion = make_entry(2.0), make_entry(1.0, version=1)
    report = compare(dataset, candidate, champion)
    assert report.champion is not None
    assert "was trained on" not in render(report, dataset, candidate, champion)
    contaminated = replace(report.champion, contamination=Contamination(0.8, "seed=0"))
    page = render(replace(report, champion=contaminated), dataset, candidate, champion)
    assert "The champion was trained on about 80% of these rows" in page


def test_page_is_self_contained_and_draws_both_models(dataset: Dataset, make_entry: MakeEntry) -> None:
    candidate, champion = make_entry(2.0), make_entry(1.0, version=7)
    page = render(compare(dataset, candidate, champion), dataset, candidate, champion)
    charts = ["<svg" + part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(charts) == 2
    for chart in charts:
        marks = [mark.attrib.get("style", "") for mark in ET.fromstring(chart).iter(f"{SVG}use")]
        for colour in COLOURS[:2]:
            assert sum(f"fill: {colour}" in style for style in marks) == dataset.test_rows + 1  # the legend's
    assert "champion, version 7" in page
    assert "paired t interval" in page
    assert "<script" not in page
    assert "src=" not in page
    assert all(address.startswith("#") for address in re.findall(r'href="([^"]*)"', page))


def test_step_writes_report_and_page(
    dataset: Dataset,
    make_model: Callable[..., Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    registry = open_registry(empty_registry(tmp_path_factory, tmp_path / "registry"))
    registry.register(make_model(1.0), "run-1", {}, lambda champion: Decision(promote=True, reasons=()))
    report = evaluate(dataset.folder, make_model(2.0), registry, tmp_path / "report", tmp_path / "page")
    assert reports.read(tmp_path / "report") == report
    assert report.champion is not None
    assert report.champion.version == 1
    found, scores = report.evaluation, report.candidate.scores
    assert found is not None
    assert scores is not None
    assert (found.digest, found.rows) == (report.candidate.digest, dataset.test_rows)
    assert (found.model.rmse**2, found.model.mae) == pytest.approx((scores.mse, scores.mae))
    _, actual = dataset.test()
    error = actual - dataset.train()[1].mean()
    assert found.baseline.rmse == pytest.approx((error**2).mean() ** 0.5)
    assert "champion, version 1" in (tmp_path / "page").read_text(encoding="utf-8")


def test_component_logs_the_scores_as_metrics(
    dataset: Dataset, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    metrics = Metrics(name="metrics", uri=str(tmp_path / "metrics"))
    evaluate_component.python_func(
        dataset=DatasetArtifact(name="dataset", uri=str(dataset.folder)),
        model=Model(name="model", uri=str(make_model(2.5))),
        report=Artifact(name="report", uri=str(tmp_path / "report")),
        page=HTML(name="page", uri=str(tmp_path / "page.html")),
        metrics=metrics,
        registry_root=str(tmp_path / "registry"),
    )
    scores = json.loads((tmp_path / "report").read_text())["candidate"]["scores"]
    assert metrics.metadata == pytest.approx(scores)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/home/me/data/houses.csv", "houses.csv"),
        ("/data/a.csv … /data/b.csv (2 sources)", "a.csv … b.csv (2 sources)"),
        ("s3://bucket/data/houses.csv", "s3://bucket/data/houses.csv"),
        ("sklearn://diabetes", "sklearn://diabetes"),
    ],
)
def test_the_evaluation_names_local_files_without_their_folders(
    source: str, shown: str, dataset: Dataset, make_entry: MakeEntry
) -> None:
    found = compare(replace(dataset, source=source), make_entry(2.0), None).evaluation
    assert found is not None
    assert found.source == shown
