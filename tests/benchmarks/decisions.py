"""How often the decisions that run by themselves are wrong, simulated with the functions that decide.

Each row of the table is a situation, how often the decision was wrong or right in it, and its threshold. The
exit status is non-zero when a threshold is missed. ``docs/statistics.md`` explains the rows.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.benchmarks.simulations import canary, drift, gate, quality


@dataclass(frozen=True, slots=True)
class Row:
    """A situation that was simulated.

    Attributes:
        decision: which one.
        situation: in words.
        hits: in how many runs what the threshold is about happened.
        runs: how many runs.
        most: largest share of them allowed.
        least: smallest share allowed.
    """

    decision: str
    situation: str
    hits: int
    runs: int
    most: float = 1.0
    least: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the threshold holds."""
        return self.least <= self.hits / self.runs <= self.most

    def __str__(self) -> str:
        """The row of the table."""
        threshold = f"<= {self.most:.1%}" if self.most < 1 else f">= {self.least:.0%}" if self.least else ""
        verdict = ("ok" if self.holds else "MISSED") if threshold else "printed"
        share = f"{self.hits / self.runs:.2%} of {self.runs:,}"
        return f"{self.decision} | {self.situation} | {share} | {threshold} | {verdict}"


Simulation = Callable[[int], Iterator[tuple[str, int, int, float, float]]]
SIMULATIONS: dict[str, Simulation] = {
    "gate": gate.simulate,
    "quality": quality.simulate,
    "drift": drift.simulate,
    "canary": canary.simulate,
}


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a threshold is missed, or when not all was simulated."""
    parser = argparse.ArgumentParser(prog="benchmark.py decisions", description=__doc__)
    parser.add_argument("--only", choices=SIMULATIONS, help="one decision alone; always fails")
    parser.add_argument("--shrink", type=int, default=1, help="so many times fewer runs; always fails")
    options = parser.parse_args(arguments)
    missed = 0
    for name, simulate in SIMULATIONS.items():
        if options.only in (None, name):
            for found in simulate(options.shrink):
                row = Row(name, *found)
                missed += not row.holds
                print(row, flush=True)
    if options.only or options.shrink != 1:
        print("failed: these are not all decisions and runs")
        return 1
    print(f"failed: {missed} missed" if missed else "all hold")
    return min(missed, 1)
