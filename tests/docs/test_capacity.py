"""The figures in the guide to capacity are those of the benchmarks, and what follows from them."""

import math
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "capacity.md").read_text(encoding="utf-8")
BENCHMARKS = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
ONE_ROW = 105_000
DEFAULT_POD, WHOLE_POD = 0.7 * 0.25 * ONE_ROW, 0.7 * ONE_ROW
LOADS = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \| (\d+) \| (\d+) \|$", GUIDE, re.MULTILINE)
RATES = re.findall(r"^\| [^|]+ \| ([\d.,]+)/s \| (\d+) for a (million|billion) ", GUIDE, re.MULTILINE)


def number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize(("rate", "seconds", "many"), RATES)
def test_rates_are_those_of_the_benchmarks(rate: str, seconds: str, many: str) -> None:
    assert f"| {rate} |" in BENCHMARKS
    rows, at_once = (1e6, 1) if many == "million" else (1e9, 100_000)
    assert round(rows / at_once / number(rate)) == int(seconds)


@pytest.mark.parametrize(("load", "cores", "small", "large"), LOADS)
def test_pods_follow_from_the_rates(load: str, cores: str, small: str, large: str) -> None:
    assert float(cores) == pytest.approx(number(load) / ONE_ROW, rel=0.1)
    assert [int(small), int(large)] == [
        max(2, math.ceil(number(load) / rate)) for rate in (DEFAULT_POD, WHOLE_POD)
    ]


def test_guide_has_the_rates_and_the_loads() -> None:
    assert (len(RATES), len(LOADS)) == (5, 5)
    assert f"{DEFAULT_POD:,.0f} requests a second" in GUIDE
    assert f"{WHOLE_POD:,.0f}." in GUIDE
