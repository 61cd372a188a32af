"""The commands `due` and `collect`: whether a retraining is due, and its data."""

import argparse
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.operations.cli import monitor
from components.operations.cli.errors import CommandError
from components.operations.rollout import api
from components.operations.rollout.errors import ApiError
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


def test_reports_the_decision_as_an_event_and_for_metrics(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Mock()
    monkeypatch.setattr(api, "connect", lambda: cluster)
    record_feedback(tmp_path, TRAINED[:400], np.full(400, 3.0))
    place = ("--report-to", "team/prices")
    assert run("due", "--feedback", str(tmp_path), "--registry-root", str(root), *place) == 0
    path, change = cluster.patch.call_args.args
    assert path == "/api/v1/namespaces/team/configmaps/prices-decisions"
    entry = json.loads(change["data"]["retraining.json"])
    assert (entry["outcome"], entry["version"]) == ("due", "1")
    assert entry["quality"]["lost"] is True
    assert entry["quality"]["live"]["mean_squared_error"] == pytest.approx(9.0)
    assert entry["quality"]["held_out"] == {"mean_squared_error": 4.0, "standard_error": 0.2, "rows": 300}
    path, event = cluster.post.call_args.args
    assert path == "/api/v1/namespaces/team/events"
    assert (event["reason"], event["involvedObject"]["name"]) == ("RetrainingDue", "prices")
    assert "beyond chance above 1.25 times as much" in event["message"]


def test_a_decision_that_can_not_be_reported_is_said(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "connect", Mock(side_effect=ApiError(0, "no cluster is configured")))
    record_feedback(tmp_path, TRAINED[:400], np.full(400, 2.0))
    place = ("--report-to", "team/prices")
    code = run("due", "--feedback", str(tmp_path), "--registry-root", str(root), *place)
    assert code == monitor.NOT_DUE
    assert "the decision was not reported: no cluster is configured" in capsys.readouterr().err


def test_a_place_to_report_to_has_a_namespace(tmp_path: Path, root: Path) -> None:
    record_feedback(tmp_path, TRAINED[:400], np.full(400, 2.0))
    with pytest.raises(CommandError, match="expected NAMESPACE/NAME, not 'prices'"):
        run("due", "--feedback", str(tmp_path), "--registry-root", str(root), "--report-to", "prices")
