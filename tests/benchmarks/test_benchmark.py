from collections.abc import Sequence
from typing import Any

import pytest

import benchmark
from tests.benchmarks import accuracy, training


def lines_of(output: str) -> dict[str, float]:
    pairs = (line.split() for line in output.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("arguments", [[], ["accuracy"]])
def test_accuracy_prints_a_name_and_a_value_a_line(arguments: list[str], capsys: Any) -> None:
    assert benchmark.main(arguments) == 0
    values = lines_of(capsys.readouterr().out)
    assert list(values) == ["slope", "intercept", "mse", "r2"]
    assert values["slope"] == pytest.approx(938.2379, rel=1e-6)
    assert values["intercept"] == pytest.approx(152.9189, rel=1e-6)
    assert values["mse"] == pytest.approx(2548.072, rel=1e-6)
    assert values["r2"] == pytest.approx(0.47258, rel=1e-4)


def test_a_poor_score_fails(monkeypatch: Any) -> None:
    monkeypatch.setattr(accuracy, "R2_FLOOR", 0.48)
    assert benchmark.main([]) == 1


def test_an_unknown_benchmark_is_refused(capsys: Any) -> None:
    assert benchmark.main(["speed"]) == 2
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--scale", "0.001", "--only", "wide"], ["--scale", "0.002", "--only", "mini"]]
)
def test_other_sizes_than_the_claimed_ones_fail(arguments: Sequence[str], capsys: Any) -> None:
    assert training.main(list(arguments)) == 1
    assert "these are not the sizes" in capsys.readouterr().out


def test_the_sizes_are_the_claimed_ones() -> None:
    assert training.LONG_ROWS == 10_000_000
    assert (training.WIDE_ROWS, training.WIDE_FEATURES, training.BATCH) == (1_000_000, 10, 256)
    assert training.PARQUET_ROWS == 100_000_000
