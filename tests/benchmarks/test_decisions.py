"""The table of the decisions' error rates, with so few runs that it only shows that they are simulated."""

import pytest

from tests.benchmarks import decisions
from tests.benchmarks.decisions import SIMULATIONS, Row


@pytest.mark.parametrize(
    ("hits", "limits", "verdict"),
    [
        (3, {"most": 0.03}, "| <= 3.0% | ok"),
        (4, {"most": 0.03}, "| <= 3.0% | MISSED"),
        (90, {"least": 0.9}, "| >= 90% | ok"),
        (89, {"least": 0.9}, "| >= 90% | MISSED"),
        (50, {}, "|  | printed"),
    ],
)
def test_a_row_is_held_against_its_threshold(hits: int, limits: dict[str, float], verdict: str) -> None:
    row = Row("gate", "equal model", hits, 100, **limits)
    assert str(row).endswith(verdict)
    assert row.holds is not verdict.endswith("MISSED")


@pytest.mark.parametrize("name", SIMULATIONS)
def test_every_decision_is_simulated(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert decisions.main(["--only", name, "--shrink", "100000"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 8
    assert all(line.startswith(f"{name} | ") and " of 1 | " in line for line in lines[:-1])
    assert lines[-1] == "failed: these are not all decisions and runs"
