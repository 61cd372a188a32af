"""The rows of a benchmark: two measured in turn, their ratio, and the threshold that it must keep."""

import statistics
from collections.abc import Sequence


class Table:
    """The rows that were measured."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def row(
        self,
        work: str,
        pairs: Sequence[tuple[float, float]],
        *,
        least: float | None = None,
        most: float | None = None,
        void: bool = False,
    ) -> float:
        """Print medians and the median ratio of pairs measured in turn, and note whether the row was missed.

        A row is void where its control is beyond the threshold too. Returns our median.
        """
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = ratio_of(pairs)
        beyond = (least is not None and ratio < least) or (most is not None and ratio > most)
        missed = beyond and not void
        threshold = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
        mark = "  missed" if missed else "  void" if beyond else ""
        print(f"{work:58} {ours:12.4g} {theirs:12.4g} {ratio:8.2f} {threshold:>9}{mark}", flush=True)
        if missed:
            self.missed.append(work)
        return ours


def ratio_of(pairs: Sequence[tuple[float, float]]) -> float:
    """The median ratio of pairs."""
    return statistics.median(ours / theirs for ours, theirs in pairs)
