"""The benchmarks' exit status and printed rows, with measurements that are made up."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import benchmark
from components.train.regression import SimpleLinearRegression
from tests.benchmarks import accuracy, local_run, model, rest, timing, training
from tests.benchmarks.bench import Bench
from tests.benchmarks.table import END, START, Table
from tests.benchmarks.timing import Row
from tests.benchmarks.training import faster, within


def lines_of(output: str) -> dict[str, float]:
    pairs = (line.split() for line in output.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("arguments", [[], ["accuracy"]])
def test_accuracy_prints_one_name_and_value_per_line(arguments: list[str], capsys: Any) -> None:
    assert benchmark.main(arguments) == 0
    values = lines_of(capsys.readouterr().out)
    assert list(values) == ["slope", "intercept", "mse", "r2"]
    assert values["slope"] == pytest.approx(938.2379, rel=1e-6)
    assert values["intercept"] == pytest.approx(152.9189, rel=1e-6)
    assert values["mse"] == pytest.approx(2548.072, rel=1e-6)
    assert values["r2"] == pytest.approx(0.47258, rel=1e-4)


def test_accuracy_fails_below_the_r2_threshold(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(accuracy, "R2_FLOOR", 0.48)
    assert benchmark.main([]) == 1
    assert "# missed: r2 is below 0.48" in capsys.readouterr().out


def test_refuses_an_unknown_benchmark(capsys: Any) -> None:
    assert benchmark.main(["speed"]) == 2
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "limits", "printed", "status"),
    [
        ([(2, 1), (9, 3), (4, 1)], {"least": 3}, ["4", "1", "3.00", ">= 3"], 0),
        ([(2, 1), (9, 3), (4, 1)], {"least": 3.1}, ["4", "1", "3.00", ">= 3.1", "missed"], 1),
        ([(3, 2)], {"most": 1.5}, ["3", "2", "1.50", "<= 1.5"], 0),
        ([(3, 2)], {"most": 1.4}, ["3", "2", "1.50", "<= 1.4", "missed"], 1),
        ([(3, 2)], {"most": 1.4, "void": True}, ["3", "2", "1.50", "<= 1.4", "void"], 1),
        ([(3, 2)], {"most": 1.6, "void": True}, ["3", "2", "1.50", "<= 1.6"], 0),
        ([(3, 2)], {}, ["3", "2", "1.50"], 0),
    ],
)
def test_row_prints_medians_ratio_threshold_and_verdict(
    pairs: list[tuple[float, float]], limits: dict[str, Any], printed: list[str], status: int, capsys: Any
) -> None:
    table = Table()
    assert table.row("the work", pairs, **limits) == float(printed[0])
    assert re.split(r"\s{2,}", capsys.readouterr().out.strip()) == ["the work", *printed]
    assert table.finish() == status
    assert capsys.readouterr().out == (f"# {printed[-1]}: the work\n" if status else "")


def test_rows_are_written_in_the_place_of_earlier_ones(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# Title\n{START}{END}\nMore.\n")
    for pairs in ([(2.0, 1.0)], [(108_412.0, 1.5)]):
        table = Table()
        table.row("rate | stock", pairs, least=3)
        if pairs[0][0] == 2.0:
            table.row("memory | allowed", [(0.1234, 1)], most=1)
        table.write(document)
    assert document.read_text() == (
        f"# Title\n{START}| work | ours | theirs, or allowed | ratio | threshold |\n|---|---|---|---|---|\n"
        "| rate, against stock | 108,000 | 1.5 | 72274.67 | >= 3 |\n"
        f"| memory, against allowed | 0.123 | 1 | 0.12 | <= 1 |\n{END}\nMore.\n"
    )


def test_a_missed_row_is_written_as_such(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"{START}{END}")
    table = Table()
    table.row("rate", [(2, 1)], least=3)
    table.write(document)
    assert "| rate | 2 | 1 | 2.00, missed | >= 3 |\n" in document.read_text()


@dataclass
class FakeServer:
    """Stands for a measured server; the predictor's numbers are set by the test."""

    name: str
    megabytes: float = 100.0

    def memory(self) -> float:
        return self.megabytes * 2**20

    def rate(self, *_arguments: Any) -> float:
        return 1000.0


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeServer]:
    found = {name: FakeServer(name) for name in ("predictor", "stock", "nginx")}
    monkeypatch.setattr(Bench, "start", lambda _bench, name: found[name])
    return found


@pytest.mark.parametrize(("megabytes", "status"), [(120.0, 0), (121.0, 1)])
def test_serving_fails_when_a_threshold_is_missed(
    servers: dict[str, FakeServer], megabytes: float, status: int, capsys: Any
) -> None:
    servers["predictor"].megabytes = megabytes
    assert benchmark.main(["serving", "--only", "memory"]) == status
    printed = capsys.readouterr().out
    assert printed.count("  missed\n") == printed.count("# missed: resident MB") == 2 * status
    assert printed.count(f"{megabytes / 100:.2f}    <= 1.2") == 2


@pytest.mark.parametrize(
    ("ours", "control", "verdicts"),
    [
        ((4.0, 1.0), (4.0, 1.0), ["", "", ""]),
        ((6.0, 1.0), (4.0, 1.0), ["", "missed", ""]),
        ((6.0, 1.0), (6.0, 1.0), ["", "void", ""]),
        ((4.0, 1.0), (1.0, 1.0), ["", "", "missed"]),
    ],
)
def test_latency_row_is_void_when_its_control_is_as_bad(
    servers: dict[str, FakeServer],
    ours: tuple[float, float],
    control: tuple[float, float],
    verdicts: list[str],
    monkeypatch: Any,
    capsys: Any,
) -> None:
    tails = {"predictor": ours, "nginx": control}
    monkeypatch.setattr(rest, "tail", lambda server, _rate, _seconds: tails[server.name])
    assert benchmark.main(["serving", "--only", "latency"]) == any(verdicts)
    rows = [line for line in capsys.readouterr().out.splitlines() if " ms | " in line and line[0] != "#"]
    assert [row.split()[-1] if row.endswith(("missed", "void")) else "" for row in rows] == verdicts


def replace_claims(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> list[float]:
    """Claim these rows and no others; returns the scales that are asked for."""
    scales: list[float] = []

    def claims(scale: float) -> Iterator[Row]:
        scales.append(scale)
        yield from rows if len(scales) == 1 else ()

    for name in ("long_claims", "wide_claims", "parquet_claims", "mini_batch_claims"):
        monkeypatch.setattr(training, name, claims)
    return scales


@pytest.mark.parametrize(
    ("row", "printed", "holds"),
    [
        (faster("w", "r", 0.1, 1.0, 10), "w | 100.0 ms | r | 1.00 s | 10x faster | >= 10x", True),
        (
            faster("w", "r", 0.1, 0.99, 10),
            "w | 100.0 ms | r | 990.0 ms | 9.9x faster | >= 10x",
            False,
        ),
        (
            within("w", "r", 2.5, 1.0, 2.5),
            "w | 2.50 s | r | 1.00 s | 2.50x its time | <= 2.5x",
            True,
        ),
        (
            within("w", "r", 2.6, 1.0, 2.5),
            "w | 2.60 s | r | 1.00 s | 2.60x its time | <= 2.5x",
            False,
        ),
    ],
)
def test_training_prints_each_claim_and_fails_when_one_is_missed(
    row: Row, printed: str, holds: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    scales = replace_claims(monkeypatch, row, within("another", "r", 1.0, 1.0, 1.0))
    assert benchmark.main(["training"]) == int(not holds)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == f"{printed} | {'ok' if holds else 'MISSED'}"
    assert second.endswith(" | ok")
    assert last == ("all hold" if holds else "failed: 1 missed")
    assert scales == [1.0] * 4


@pytest.mark.parametrize("arguments", [["--scale", "0.001"], ["--only", "claims"]])
def test_training_fails_with_other_sizes_or_claims(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    replace_claims(monkeypatch)
    assert training.main(arguments) == 1
    assert "these are not the sizes" in capsys.readouterr().out


@pytest.mark.parametrize(("claim", "work"), [("wide", "fit"), ("mini", "mini-batch epoch")])
def test_training_measures_the_sizes_that_it_prints(
    claim: str, work: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    measured: set[str] = set()
    original = SimpleLinearRegression.fit

    def fit(self: SimpleLinearRegression, X: Any, y: Any) -> SimpleLinearRegression:
        batch = f", batch {self.batch_size}" if self.batch_size else ""
        measured.add(f"{work}, n = {len(X):,}, d = {X.shape[1]}{batch}")
        return original(self, X, y)

    monkeypatch.setattr(SimpleLinearRegression, "fit", fit)
    training.main(["--scale", "0.002", "--only", claim])
    assert measured == {capsys.readouterr().out.partition(" | ")[0]}


def test_runs_are_alternated_and_short_ones_count_by_their_minimum() -> None:
    order: list[str] = []
    timing.alternate(lambda: order.append("ours"), lambda: order.append("theirs"), 3)
    assert order == ["ours", "theirs"] * 3
    assert timing.typical([0.03, 0.01, 9.0]) == 0.01
    assert timing.typical([0.3, 0.1, 9.0]) == 0.3


def test_model_prints_a_row_and_very_many_and_fails_for_other_numbers_of_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(model, "MOST_MICROSECONDS", 1e6)
    monkeypatch.setattr(model, "MOST_TIMES", 1e6)
    monkeypatch.setattr(model, "TRAINING_ROWS", 500)
    monkeypatch.setattr(model, "CALLS", 1)
    assert benchmark.main(["model", "--rows", "100"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[-1] for line in printed[:3]] == ["ok"] * 3
    assert printed[3:] == ["failed: these are not the rows of the table"]
    monkeypatch.setattr(model, "ROWS", 100)
    assert benchmark.main(["model"]) == 0
    monkeypatch.setattr(model, "MOST_TIMES", 0.0)
    assert benchmark.main(["model"]) == 1
    assert capsys.readouterr().out.endswith("failed: 1 missed\n")


@pytest.mark.parametrize(("run", "status"), [(8.0, 0), (12.0, 1)])
def test_run_fails_above_twice_the_processor_time_of_the_imports(
    run: float, status: int, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(local_run, "processor_seconds", lambda command: run if "run" in command else 5.0)
    assert benchmark.main(["run"]) == status
    assert f"{run / 5:.2f} of its processor time" in capsys.readouterr().out


def test_processor_seconds_include_those_of_children() -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
    assert local_run.processor_seconds([sys.executable, "-c", child]) > 0.3
