"""The gRPC rows: what ghz reports, where it comes from, and which statuses are right."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import benchmark
from tests.benchmarks import ghz, rpc


def test_ghz_report_gives_the_number_of_calls() -> None:
    assert ghz.answered(json.dumps({"statusCodeDistribution": {"OK": 7}})) == 7


@pytest.mark.parametrize("statuses", [{"OK": 7, "Unavailable": 1}, {}, None])
def test_ghz_report_with_failed_calls_is_an_error(statuses: Any) -> None:
    with pytest.raises(RuntimeError, match="gRPC calls ended with"):
        ghz.answered(json.dumps({"statusCodeDistribution": statuses}))


@pytest.fixture
def without_ghz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder that takes the place of this Python's and of the path."""
    ghz.find.cache_clear()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_grpc_rows_name_go_where_ghz_and_go_are_missing(without_ghz: Path) -> None:
    with pytest.raises(SystemExit, match=r"need ghz, and Go to build it \(go install github.com/bojand/ghz"):
        benchmark.main(["serving", "--only", "grpc"])


@pytest.mark.parametrize(("status", "built"), [(0, True), (1, False)])
def test_ghz_is_built_beside_python(without_ghz: Path, *, status: int, built: bool) -> None:
    go = without_ghz / "go"
    go.write_text(f'#!/bin/sh\n[ "$1" = install ] && [ -n "$GOBIN" ] || exit 2\nexit {status}\n')
    go.chmod(0o755)
    if built:
        assert ghz.find() == str(without_ghz / "ghz")
    else:
        with pytest.raises(SystemExit, match="failed"):
            ghz.find()


def test_expected_statuses_are_accepted_and_no_others() -> None:
    expected = {"OK", "RESOURCE_EXHAUSTED"}
    rpc.check(Counter(OK=2, RESOURCE_EXHAUSTED=398), expected)
    for statuses in (Counter(OK=400), Counter(OK=1, RESOURCE_EXHAUSTED=1, INTERNAL=1)):
        with pytest.raises(RuntimeError, match="expected the statuses"):
            rpc.check(statuses, expected)
