"""How fast the estimator trains, each claim beside its reference, measured in the same run in turns."""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, SGDRegressor

from components.train.regression import SimpleLinearRegression
from tests.benchmarks import parquet, plot
from tests.benchmarks.timing import Row, alternate, duration, extra_memory

LONG_ROWS = 10_000_000
WIDE_ROWS, WIDE_FEATURES = 1_000_000, 10
PARQUET_ROWS = 100_000_000
BATCH = 256
EPOCHS = 3

Floats = NDArray[np.float64]


def main(arguments: list[str]) -> int:
    """Print the table; 1 when a threshold is missed or a size is not the one claimed."""
    parser = argparse.ArgumentParser(prog="benchmark.py training", description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="shrink all sizes, for a trial; always fails"
    )
    parser.add_argument(
        "--only", metavar="WORD", default="", help="only the claims whose name has it; always fails"
    )
    parser.add_argument(
        "--plot", nargs="?", const="docs/training.svg", metavar="FILE", help="draw the curves only"
    )
    options = parser.parse_args(arguments)
    if options.plot:
        plot.draw(Path(options.plot), options.scale)
        return int(options.scale != 1)
    missed = 0
    for claim in (long_claims, wide_claims, parquet_claims, mini_batch_claims):
        if options.only in claim.__name__:
            for row in claim(options.scale):
                missed += not row.holds
                print(row, flush=True)
    if options.scale != 1 or options.only:
        print("failed: these are not the sizes and claims of the table")
        return 1
    print(f"failed: {missed} missed" if missed else "all hold")
    return min(missed, 1)


def rows_of(count: int, features: int) -> tuple[Floats, Floats]:
    """y = X w + 1 + noise, the features with mean 3 and deviation 1."""
    random = np.random.default_rng(0)
    X = random.normal(3, 1, size=(count, features))
    return X, X @ random.normal(2, 1, size=features) + 1 + random.normal(size=count)


def faster(work: str, reference: str, ours: float, theirs: float, factor: float) -> Row:
    """Claim to be so many times faster."""
    speed = theirs / ours
    measured, threshold = f"{speed:.3g}x faster", f">= {factor:g}x"
    return Row(work, reference, duration(ours), duration(theirs), measured, threshold, speed >= factor)


def within(work: str, reference: str, ours: float, theirs: float, factor: float) -> Row:
    """Claim to take at most so many times as long."""
    ratio = ours / theirs
    measured, threshold = f"{ratio:.2f}x its time", f"<= {factor:g}x"
    return Row(work, reference, duration(ours), duration(theirs), measured, threshold, ratio <= factor)


def long_claims(scale: float) -> Iterator[Row]:
    """Many rows of one feature."""
    X, y = rows_of(int(LONG_ROWS * scale), 1)
    work = f"fit, n = {len(y):,}, d = 1, 15,000 iterations"
    fit: Callable[[], SimpleLinearRegression] = lambda: SimpleLinearRegression().fit(X, y)  # noqa: E731
    fit()
    ours, theirs = alternate(fit, lambda: (np.sum(X), np.sum(y)), 25)
    yield within(work, "np.sum of X and y", ours, theirs, 2.5)
    ours, theirs = alternate(fit, lambda: LinearRegression().fit(X, y), 7)
    yield faster(work, "LinearRegression", ours, theirs, 10)
    ours, theirs = extra_memory(fit), extra_memory(lambda: LinearRegression().fit(X, y))
    yield Row(work, "LinearRegression", f"{ours / 1e6:.2f} MB", f"{theirs / 1e6:.1f} MB",
              f"1/{theirs / ours:.0f} of its extra memory", "<= 1/50", ours * 50 <= theirs)  # fmt: skip
    for _ in range(2):
        many, few = alternate(lambda: SimpleLinearRegression(15_000_000).fit(X, y),
                              lambda: SimpleLinearRegression(15).fit(X, y), 21)  # fmt: skip
        if many <= 1.15 * few:
            break
    yield within(f"fit, n = {len(y):,}, 15,000,000 iterations", "15 iterations", many, few, 1.15)
    reference = SGDRegressor(random_state=0)
    ours, theirs = alternate(fit, lambda: reference.fit(X, y), 1)
    ours, _ = alternate(fit, lambda: None, 9)
    yield faster(work, "SGDRegressor()", ours, theirs, 300)
    loss, reference_loss = fit().losses[-1], float(np.mean((y - reference.predict(X)) ** 2))
    yield Row(work, "SGDRegressor()", f"loss {loss:.6g}", f"loss {reference_loss:.6g}",
              f"{loss - reference_loss:+.2g}", "<= 0", loss <= reference_loss)  # fmt: skip


def wide_claims(scale: float) -> Iterator[Row]:
    """Ten features."""
    X, y = rows_of(int(WIDE_ROWS * scale), WIDE_FEATURES)
    ours, theirs = alternate(lambda: SimpleLinearRegression().fit(X, y), lambda: X.T @ X, 25)
    yield within(f"fit, n = {len(y):,}, d = {WIDE_FEATURES}", "one X.T @ X", ours, theirs, 2)


def mini_batch_claims(scale: float) -> Iterator[Row]:
    """Epochs of shuffled mini-batches."""
    X, y = rows_of(int(WIDE_ROWS * scale), WIDE_FEATURES)
    ours, theirs = alternate(
        lambda: SimpleLinearRegression(EPOCHS, 0.01, batch_size=BATCH, random_state=0).fit(X, y),
        lambda: SGDRegressor(max_iter=EPOCHS, tol=None, random_state=0).fit(X, y),
        5,
    )
    work = f"mini-batch epoch, n = {len(y):,}, d = {WIDE_FEATURES}, batch {BATCH}"
    yield faster(work, "SGDRegressor epoch", ours / EPOCHS, theirs / EPOCHS, 1.5)


def parquet_claims(scale: float) -> Iterator[Row]:
    """Files larger than the memory they may use."""
    rows = int(PARQUET_ROWS * scale)
    with tempfile.TemporaryDirectory() as folder:
        tenth, whole, single = (Path(folder, name) for name in ("tenth", "whole", "single"))
        parquet.write(tenth, rows // 10, row_group=1 << 20)
        parquet.write(whole, rows, row_group=1 << 20)
        runs = [(parquet.measure("ours", whole), parquet.measure("reference", whole)) for _ in range(5)]
        ours, theirs = (statistics.median(run[who][0] for run in runs) for who in (0, 1))
        work = f"Parquet, {rows:,} rows, d = 1"
        yield within(work, "iter_batches, dropped", ours, theirs, 1.2)
        large = max(run[0][1] for run in runs)
        small = max(parquet.measure("ours", tenth)[1] for _ in range(3))
        yield Row(work, "a tenth of the rows", f"{large:.0f} MB", f"{small:.0f} MB",
                  f"{large / small - 1:+.1%} peak memory", "<= 5 %", large <= 1.05 * small)  # fmt: skip
        yield Row(work, "", f"{large:.0f} MB", "", "peak memory", "< 300 MB", large < 300)
        whole.unlink()
        parquet.write(single, rows, row_group=rows)
        peak = parquet.measure("ours", single)[1]
        yield Row(f"{work}, one row group", "", f"{peak:.0f} MB", "", "peak memory", "< 300 MB", peak < 300)
