"""Candidate and champion with normal errors, whose correlation is 0.9.

In groups, half of the variance of an error is common to the rows of its group.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from components.data.scores import pair, score
from components.register.gate import Comparison, Policy, decide

CORRELATION = 0.9
POLICY = Policy(floor_r2=-1e6)
Found = tuple[str, int, int, float, float]


def simulate(shrink: int) -> Iterator[Found]:
    """Yield the rows of the table."""
    random = np.random.default_rng(16)
    runs = max(20_000 // shrink, 1)
    for rows in (20, 88, 200):
        yield f"equal model, {rows} rows", promotions(random, rows, 1.0, runs), runs, 0.03, 0.0
    for rows, most in ((20, 0.02), (88, 0.01), (200, 0.01)):
        yield f"truly 5 % worse, {rows} rows", promotions(random, rows, 1.05, runs), runs, most, 0.0
    runs = max(2000 // shrink, 1)
    for looks, least in ((0, 0.9), (1, 0.0), (9, 0.0), (49, 0.0)):
        found = promotions(random, 1000, 0.9, runs, looks=looks)
        yield f"truly 10 % better, 1,000 rows, look {looks + 1}", found, runs, 1.0, least
    runs = max(1000 // shrink, 1)
    for rows in (20, 88, 200):
        own = np.random.default_rng((16, rows))
        found = sum(any_of_many(own, rows) for _ in range(runs))
        yield f"50 noisy variants, {rows} rows: one promoted that is worse", found, runs, 0.05, 0.0
    runs = max(20_000 // shrink, 1)
    for rows in (20, 88, 200):
        found = promotions(random, rows, 1.0, runs, rare=0.05)
        yield (
            f"equal model, 5 % of the rows with errors ten times as large, {rows} rows",
            found,
            runs,
            1.0,
            0.0,
        )
    for groups in (5, 20, 60):
        found = sum(grouped(random, groups, 1.0) for _ in range(runs))
        yield f"equal model, {groups} groups of 1 to 20 rows", found, runs, 0.03, 0.0
    found = sum(grouped(random, 20, 1.0, by_rows=True) for _ in range(runs))
    yield "the same, 20 groups, if rows counted", found, runs, 1.0, 0.0


def promotions(
    random: np.random.Generator, rows: int, ratio: float, runs: int, *, looks: int = 0, rare: float = 0.0
) -> int:
    """Count the promotions of a candidate whose true mean squared error is a multiple of the champion's."""
    return sum(_promoted(random, *_errors(random, rows, ratio, rare), looks) for _ in range(runs))


def grouped(random: np.random.Generator, groups: int, ratio: float, *, by_rows: bool = False) -> bool:
    """Whether a candidate is promoted on rows in groups of unequal sizes, which may be counted as rows."""
    codes = np.repeat(np.arange(groups, dtype=np.float64), random.integers(1, 21, groups))
    rows = codes.astype(np.intp)
    common, own = _errors(random, groups, ratio, 0.0), _errors(random, codes.size, ratio, 0.0)
    champion, candidate = ((one[rows] + other) / np.sqrt(2) for one, other in zip(common, own, strict=True))
    return _promoted(random, champion, candidate, 0, None if by_rows else codes)


def any_of_many(random: np.random.Generator, rows: int, variants: int = 50) -> bool:
    """Whether one of many variants replaces the champion, although each is truly 1 % worse.

    Each is judged on the same rows as all before, as in the search for a better model.
    """
    champion = random.normal(size=rows)
    for look in range(variants):
        own = random.normal(size=rows)
        candidate = CORRELATION * champion + np.sqrt(1 - CORRELATION**2) * own
        if _promoted(random, champion, np.sqrt(1.01) * candidate, look):
            return True
    return False


def _errors(
    random: np.random.Generator, rows: int, ratio: float, rare: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    champion, own = random.normal(size=(2, rows))
    candidate = CORRELATION * champion + np.sqrt(1 - CORRELATION**2) * own
    size = np.where(random.random(rows) < rare, 10.0, 1.0)
    return champion * size, np.sqrt(ratio) * candidate * size


def _promoted(
    random: np.random.Generator,
    champion: NDArray[np.float64],
    candidate: NDArray[np.float64],
    looks: int,
    groups: NDArray[np.float64] | None = None,
) -> bool:
    target = random.normal(0, 3, champion.size)
    new, old = (score(target, target + errors) for errors in (candidate, champion))
    comparison = Comparison(pair(target, target + candidate, target + champion, groups), float(looks))
    return decide(new, old, POLICY, comparison).promote
