"""The commands `due` and `collect`: whether a retraining is due, and its data."""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.operations.cli import monitor
from components.operations.cli.errors import CommandError
from tests.components.operations.cli.conftest import TRAINED, record_feedback


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    monitor.add(parser.add_subparsers(required=True))
    options = parser.parse_args(arguments)
    return int(options.command(options))


def test_no_retraining_is_due_without_drift_or_lost_quality(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_feedback(tmp_path, TRAINED[:400], np.full(400, 2.0))
    code = run("due", "--feedback", str(tmp_path), "--registry-root", str(root))
    assert code == monitor.NOT_DUE
    assert (
        "on 400 labels is 4, on 300 held-out rows 4; not beyond chance above 1.25" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("moved", "error", "more", "reason"),
    [
        (2.0, 2.0, [], "drift: bmi has a stability index of"),
        (0.0, 3.0, [], "on 400 labels is 9, on 300 held-out rows 4; beyond chance above 1.25 times as much"),
        (0.0, 2.0, ["--news", "400"], "new data: 400 labels"),
    ],
)
def test_drift_lost_quality_and_new_data_make_a_retraining_due(
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    moved: float,
    error: float,
    more: list[str],
    reason: str,
) -> None:
    record_feedback(tmp_path, TRAINED[:400] + moved, np.full(400, error))
    assert run("due", "--feedback", str(tmp_path), "--registry-root", str(root), *more) == 0
    assert reason in capsys.readouterr().out


def test_collects_predictions_with_truths_into_a_file(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_feedback(tmp_path, TRAINED[:3], np.zeros(3))
    to = tmp_path / "new"
    arguments = ["collect", "--feedback", str(tmp_path), "--registry-root", str(root), "--to", str(to)]
    assert run(*arguments) == 0
    (file,) = to.iterdir()
    assert capsys.readouterr().out == f"{file}: 3 rows\n"
    assert pq.read_table(file).column_names == ["bmi", "progression"]
    assert run(*arguments, "--last-day", "2000-01-01") == 0
    assert capsys.readouterr().out == "no recorded prediction has a label yet\n"


def test_collect_says_how_many_labels_could_be_of_several_predictions(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rows in (TRAINED[:3], TRAINED[3:5]):
        record_feedback(tmp_path, rows, np.zeros(len(rows)))
    to = str(tmp_path / "new")
    run("collect", "--feedback", str(tmp_path), "--registry-root", str(root), "--to", to)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 1 rows")
    assert lines[1:] == ["left out 2 labels: several predictions have their id and row"]


def test_needs_a_champion(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no champion yet"):
        run("due", "--feedback", str(tmp_path), "--registry-root", str(tmp_path))


def test_reports_an_invalid_policy(tmp_path: Path, root: Path) -> None:
    with pytest.raises(CommandError, match="quality is a ratio of at least 1"):
        run("due", "--feedback", str(tmp_path), "--registry-root", str(root), "--quality", "0.5")
