"""Held-out and live errors, normal and with the heavy tails of Student's t with five degrees of freedom."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from components.operations.monitor.due import Error, Observations, Policy, decide
from tests.benchmarks.simulations.gate import Found


def simulate(shrink: int) -> Iterator[Found]:
    """Yield the rows of the table."""
    random = np.random.default_rng(17)
    runs = max(10_000 // shrink, 1)
    for tails in ("normal", "t5"):
        for held_out in (88, 150, 300, 1000):
            for labels in (200, 1000):
                found = sum(is_due(random, tails, held_out, labels) for _ in range(runs))
                words = f"nothing changed, {tails} errors, {held_out} held-out rows, {labels} labels"
                yield words, found, runs, 0.01, 0.0
    runs = max(2000 // shrink, 1)
    for tails, least in (("normal", 0.9), ("t5", 0.0)):
        found = sum(is_due(random, tails, 300, 1000, growth=1.5) for _ in range(runs))
        yield f"RMSE 1.5 times, {tails} errors, 300 held-out rows, 1,000 labels", found, runs, 1.0, least


def is_due(
    random: np.random.Generator, tails: str, held_out: int, labels: int, *, growth: float = 1.0
) -> bool:
    """Whether a retraining is due for its quality, the root mean squared error having grown."""
    observed = Observations(
        live=_error(growth * _draw(random, tails, labels)), held_out=_error(_draw(random, tails, held_out))
    )
    return decide(observed, Policy()).due


def _draw(random: np.random.Generator, tails: str, rows: int) -> NDArray[np.float64]:
    return random.normal(size=rows) if tails == "normal" else random.standard_t(5, size=rows)


def _error(errors: NDArray[np.float64]) -> Error:
    squares = errors**2
    return Error(float(squares.mean()), float(squares.std(ddof=1)) / np.sqrt(squares.size), squares.size)
