import math
from pathlib import Path

import pytest

from components.data import report as reports
from components.data.report import Contender, Report, ReportError
from components.data.rows import RowSketch
from components.data.scores import PairedErrors, Scores

REPORT = Report(
    fingerprint="f",
    rows=20,
    candidate=Contender("c", scores=Scores(1.5, 1.0, 0.4)),
    champion=Contender("d", version=3, scores=Scores(2.5, 1.5, 0.2)),
    held_out=RowSketch(("x", "y"), (7, 2**48 - 1), complete=True),
    paired=PairedErrors(20, 20, 1.0, 2.0, 2.5, 3.0, math.nan),
)


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        Report("f", 20, REPORT.candidate),
        Report("f", 20, REPORT.candidate, Contender("d", version=3, problem="it needs s5")),
    ],
    ids=["both", "no champion", "not comparable"],
)
def test_reports_survive_a_round_trip(report: Report, tmp_path: Path) -> None:
    reports.write(report, tmp_path / "a" / "report.json")
    assert reports.read(tmp_path / "a" / "report.json") == report


def test_reads_a_non_finite_score_as_nan(tmp_path: Path) -> None:
    reports.write(Report("f", 1, Contender("c", scores=Scores(math.inf, 1.0, math.nan))), tmp_path / "report")
    scores = reports.read(tmp_path / "report").candidate.scores
    assert scores is not None
    assert math.isnan(scores.mse)
    assert math.isnan(scores.r2)
    assert scores.mae == 1.0


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 2, "fingerprint": "f", "rows": 1}']
)
def test_names_a_file_that_is_not_a_report(text: str, tmp_path: Path) -> None:
    (tmp_path / "report").write_text(text)
    with pytest.raises(ReportError, match=f"{tmp_path / 'report'}"):
        reports.read(tmp_path / "report")


def test_names_a_missing_report(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="nowhere can't be read"):
        reports.read(tmp_path / "nowhere")
