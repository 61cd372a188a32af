"""The rows of a benchmark: two measurements taken in turn, their ratio, and the threshold for it."""

import statistics
from collections.abc import Sequence
from pathlib import Path

START, END = "<!-- written by benchmark.py serving --write -->\n", "<!-- end -->"
_HEAD = "| work | ours | theirs, or allowed | ratio | threshold |\n|---|---|---|---|---|\n"
_PLAIN_FROM = 1000


class Table:
    """Prints rows as they are measured.

    Attributes:
        missed: the rows beyond their threshold.
        void: the rows beyond their threshold whose control was beyond it too, so that they show nothing.
        written: the rows in Markdown, by what was measured.
    """

    def __init__(self) -> None:
        self.missed: list[str] = []
        self.void: list[str] = []
        self.written: dict[str, str] = {}

    def finish(self) -> int:
        """Print the rows that do not hold; returns the exit status, 0 if all rows hold."""
        for name, rows in (("missed", self.missed), ("void", self.void)):
            for work in rows:
                print(f"# {name}: {work}")
        return 1 if self.missed or self.void else 0

    def row(
        self,
        work: str,
        pairs: Sequence[tuple[float, float]],
        *,
        least: float | None = None,
        most: float | None = None,
        void: bool = False,
    ) -> float:
        """Print the medians and the median ratio of pairs measured in turn; returns our median.

        Args:
            work: what was measured.
            pairs: ours and theirs.
            least: the threshold below which the row is missed.
            most: the threshold above which it is missed.
            void: whether the control of this row is beyond the threshold.
        """
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = ratio_of(pairs)
        beyond = (least is not None and ratio < least) or (most is not None and ratio > most)
        threshold = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
        mark = "" if not beyond else "  void" if void else "  missed"
        print(f"{work:58} {ours:12.4g} {theirs:12.4g} {ratio:8.2f} {threshold:>9}{mark}", flush=True)
        name, verdict = work.replace(" | ", ", against "), mark.strip() and f", {mark.strip()}"
        cells = (name, *map(_rounded, (ours, theirs)), f"{ratio:.2f}{verdict}", threshold)
        self.written[name] = f"| {' | '.join(cells)} |\n"
        if beyond:
            (self.void if void else self.missed).append(work)
        return ours

    def write(self, document: Path) -> None:
        """Write the rows into a document, each in the place of an earlier one of the same work."""
        before, _, rest = document.read_text(encoding="utf-8").partition(START)
        table, _, behind = rest.partition(END)
        earlier = {
            line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines(keepends=True)[2:]
        }
        rows = "".join((earlier | self.written).values())
        document.write_text(f"{before}{START}{_HEAD}{rows}{END}{behind}", encoding="utf-8")


def _rounded(value: float) -> str:
    """Write a measurement with three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= _PLAIN_FROM else f"{value:.3g}"


def ratio_of(pairs: Sequence[tuple[float, float]]) -> float:
    """The median ratio of pairs."""
    return statistics.median(ours / theirs for ours, theirs in pairs)
