"""New data from what was kept, and whether a retraining is due, by their commands."""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.commands import monitor
from components.commands.errors import CommandError
from tests.components.commands.conftest import TRAINED, keep


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    monitor.add(parser.add_subparsers(required=True))
    options = parser.parse_args(arguments)
    return int(options.command(options))


def test_a_calm_week_is_no_reason_to_train(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path, TRAINED[:400], np.full(400, 2.0))
    code = run("due", "--feedback", str(tmp_path), "--registry-root", str(root))
    assert code == monitor.NOT_DUE
    assert "quality holds: 4 against 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moved", "error", "more", "reason"),
    [
        (2.0, 2.0, [], "drift: bmi has a stability index of"),
        (0.0, 3.0, [], "quality: the mean squared error on 400 truths is 9, above 1.25 times the 4"),
        (0.0, 2.0, ["--news", "400"], "new data: 400 truths"),
    ],
)
def test_drift_lost_quality_and_new_data_are(
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    moved: float,
    error: float,
    more: list[str],
    reason: str,
) -> None:
    keep(tmp_path, TRAINED[:400] + moved, np.full(400, error))
    assert run("due", "--feedback", str(tmp_path), "--registry-root", str(root), *more) == 0
    assert reason in capsys.readouterr().out


def test_what_came_true_becomes_a_source(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path, TRAINED[:3], np.zeros(3))
    to = tmp_path / "new"
    arguments = ["collect", "--feedback", str(tmp_path), "--registry-root", str(root), "--to", str(to)]
    assert run(*arguments) == 0
    (file,) = to.iterdir()
    assert capsys.readouterr().out == f"{file}: 3 rows\n"
    assert pq.read_table(file).column_names == ["bmi", "progression"]
    assert run(*arguments, "--last-day", "2000-01-01") == 0
    assert capsys.readouterr().out == "nothing that was predicted has come true\n"


def test_without_a_champion_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no champion yet"):
        run("due", "--feedback", str(tmp_path), "--registry-root", str(tmp_path))


def test_a_policy_that_makes_no_sense_is_a_clear_error(tmp_path: Path, root: Path) -> None:
    with pytest.raises(CommandError, match="quality is a ratio of at least 1"):
        run("due", "--feedback", str(tmp_path), "--registry-root", str(root), "--quality", "0.5")
