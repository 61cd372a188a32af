"""The time to fit over the number of rows, of features and of iterations, as a drawing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression

from components.train.regression import SimpleLinearRegression
from tests.benchmarks.timing import alternate

ROUNDS = 3
ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
FEATURES = (1, 2, 5, 10, 20, 50, 100, 200)
ITERATIONS = (1, 15, 1_000, 15_000, 1_000_000, 15_000_000, 1_000_000_000)
FIXED_ROWS = 100_000

Estimator = Callable[[], Any]


def draw(path: Path, scale: float) -> None:
    """Measure the three curves and write them as SVG."""
    mpl.rcParams.update({"svg.hashsalt": "training", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    _panel(panels[0], "rows (1 feature)", [int(n * scale) for n in ROWS], lambda n: (n, 1, 15_000))
    fixed = int(FIXED_ROWS * scale)
    _panel(panels[1], f"features ({fixed:,} rows)", FEATURES, lambda d: (fixed, d, 15_000))
    _panel(panels[2], f"iterations ({fixed:,} rows, 10 features)", ITERATIONS, lambda k: (fixed, 10, k))
    panels[0].set_ylabel("milliseconds to fit")
    panels[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _panel(panel: Any, label: str, sizes: Any, shape: Callable[[int], tuple[int, int, int]]) -> None:
    random = np.random.default_rng(0)
    curves: tuple[list[float], list[float]] = ([], [])
    for size in sizes:
        rows, features, iterations = shape(size)
        X = random.normal(3, 1, size=(rows, features))
        y = X.sum(axis=1) + random.normal(size=rows)
        ours = SimpleLinearRegression(iterations, learning_rate="auto")
        seconds = alternate(lambda: ours.fit(X, y), lambda: LinearRegression().fit(X, y), ROUNDS)  # noqa: B023
        for curve, value in zip(curves, seconds, strict=True):
            curve.append(value * 1e3)
    panel.loglog(sizes, curves[0], "o-", label="SimpleLinearRegression")
    panel.loglog(sizes, curves[1], "s--", color="0.5", label="LinearRegression")
    panel.set_xlabel(label)
    panel.grid(visible=True, which="major", alpha=0.3)
