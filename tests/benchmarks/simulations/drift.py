"""Columns of several kinds, with and without drift, in rows that are independent or come in batches."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from components.operations.monitor.due import Answered, Observations, Policy, decide
from predictor.model.drift import Distribution, measure
from tests.benchmarks.simulations.gate import Found

Values = NDArray[np.float64]
Column = Callable[[np.random.Generator, int], Values]
TRAINED, RECORDED = 2000, 1000
WEEKS = 10


def normal(shift: float = 0.0) -> Column:
    """A column with a normal distribution of deviation 1."""
    return lambda random, rows: random.normal(shift, 1, rows)


def indicator(share: float) -> Column:
    """A column that is one in a share of the rows, and zero else."""
    return lambda random, rows: (random.random(rows) < share).astype(np.float64)


def mostly_zero(random: np.random.Generator, rows: int) -> Values:
    """Draw a column that is zero in 92 % of the rows."""
    return random.exponential(size=rows) * (random.random(rows) < 0.08)


def counts(random: np.random.Generator, rows: int) -> Values:
    """Draw a column of small whole numbers."""
    return random.poisson(3, rows).astype(np.float64)


KINDS: tuple[Column, ...] = (normal(), indicator(0.05), mostly_zero, counts, normal())


def simulate(shrink: int) -> Iterator[Found]:
    """Yield the rows of the table."""
    random = np.random.default_rng(18)
    for features, runs in ((1, 5000), (10, 1500), (100, 200)):
        for rows in (200, RECORDED):
            runs_now = max(runs // shrink, 1)
            found = sum(unmoved(random, features, rows) for _ in range(runs_now))
            yield f"nothing changed, {features} features, {rows} rows", found, runs_now, 0.002, 0.0
    runs = max(2000 // shrink, 1)
    found = sum(in_batches(random, 20, 10) for _ in range(runs))
    yield "nothing changed, 200 rows in 20 batches of near-equal rows", found, runs, 0.002, 0.0
    found = sum(in_batches(random, 300, 10) for _ in range(runs))
    yield "nothing changed, 3,000 rows in 300 batches of near-equal rows", found, runs, 0.002, 0.0
    for words, before, after in (
        ("half a deviation", normal(), normal(0.5)),
        ("an indicator from 5 to 15 %", indicator(0.05), indicator(0.15)),
    ):
        found = sum(moved(random, before, after) for _ in range(runs))
        yield f"{words}, 1,000 rows, 2,000 reference rows", found, runs, 1.0, 0.99
    runs = max(1000 // shrink, 1)
    for words, refused in (("promoted", False), ("the gate refused", True)):
        found = sum(answered(random, refused=refused) > 1 for _ in range(runs))
        yield f"drift that was answered ({words}), ten more weeks: due again", found, runs, 0.02, 0.0


def unmoved(random: np.random.Generator, features: int, rows: int) -> bool:
    """Whether drift is found in any of several columns and the predictions, none of which moved."""
    kinds = [KINDS[number % len(KINDS)] for number in range(features)]
    columns = {f"x{number}": kind for number, kind in enumerate((*kinds, normal()))}
    trained = {name: kind(random, TRAINED) for name, kind in columns.items()}
    return _is_due(trained, {name: kind(random, rows) for name, kind in columns.items()})


def in_batches(random: np.random.Generator, batches: int, size: int) -> bool:
    """Whether drift is found in rows of which those of a batch are nearly the same."""
    trained, centres = random.normal(size=TRAINED), random.normal(size=batches)
    recorded = centres.repeat(size) + random.normal(0, 0.01, batches * size)
    return _is_due({"x": trained}, {"x": recorded}, requests=np.arange(batches).repeat(size))


def moved(random: np.random.Generator, before: Column, after: Column) -> bool:
    """Whether drift is found in one of ten columns that moved."""
    trained = {"x": before(random, TRAINED), **{f"o{i}": random.normal(size=TRAINED) for i in range(10)}}
    recorded = {"x": after(random, RECORDED), **{f"o{i}": random.normal(size=RECORDED) for i in range(10)}}
    return _is_due(trained, recorded)


def answered(random: np.random.Generator, *, refused: bool) -> int:
    """Count the retrainings in eleven weeks in which a column has moved by a deviation."""
    trained = {"x": random.normal(size=TRAINED), "y": random.normal(size=TRAINED)}
    before: Mapping[str, Values] = {}
    runs = 0
    for _ in range(1 + WEEKS):
        week = {"x": random.normal(1, 1, RECORDED), "y": random.normal(size=RECORDED)}
        if not _is_due(trained, week, before=before):
            continue
        runs += 1
        before = week
        if not refused:
            trained = {name: np.concatenate([values, week[name]]) for name, values in trained.items()}
    return runs


def _is_due(
    trained: Mapping[str, Values],
    recorded: Mapping[str, Values],
    *,
    requests: NDArray[np.intp] | None = None,
    before: Mapping[str, Values] | None = None,
) -> bool:
    drifts = {
        name: measure(Distribution.of(values), values.size, recorded[name], requests)
        for name, values in trained.items()
    }
    since = {
        name: measure(Distribution.of(values), values.size, recorded[name])
        for name, values in (before or {}).items()
    }
    rows = len(next(iter(recorded.values())))
    return decide(Observations(rows=rows, drift=drifts, answered=Answered("then", since)), Policy()).due
