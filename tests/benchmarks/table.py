"""The rows of a benchmark: two measurements taken in turn, their ratio, and the threshold for it."""

import statistics
from collections.abc import Sequence


class Table:
    """Prints rows as they are measured.

    Attributes:
        missed: the rows beyond their threshold.
        void: the rows beyond their threshold whose control was beyond it too, so that they show nothing.
    """

    def __init__(self) -> None:
        self.missed: list[str] = []
        self.void: list[str] = []

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
        if beyond:
            (self.void if void else self.missed).append(work)
        return ours


def ratio_of(pairs: Sequence[tuple[float, float]]) -> float:
    """The median ratio of pairs."""
    return statistics.median(ours / theirs for ours, theirs in pairs)
