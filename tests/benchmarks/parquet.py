"""Reading a Parquet file in a process of its own, so that its peak memory is its own.

Usage: python -m tests.benchmarks.parquet (ours | reference) FILE
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write(path: Path, rows: int, *, row_group: int) -> None:
    """Write y = 2x + 1 + noise in row groups of so many rows."""
    random = np.random.default_rng(0)
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, row_group):
            x = random.normal(3, 1, size=min(row_group, rows - start))
            y = 2 * x + 1 + random.normal(size=x.size)
            writer.write_table(pa.table({"x": x, "y": y}), row_group_size=row_group)


def measure(who: str, path: Path) -> tuple[float, float]:
    """Read a file in a new process; returns the seconds and the peak resident megabytes, imports included."""
    command = [sys.executable, "-m", "tests.benchmarks.parquet", who, str(path)]
    root = Path(__file__).parents[2]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    seconds, megabytes = json.loads(output)
    return float(seconds), float(megabytes)


def fit(path: str) -> None:
    """Fit the estimator on a file."""
    from components.data.stream import parquet_moments
    from components.train.regression import SimpleLinearRegression

    SimpleLinearRegression().fit_moments(parquet_moments(path, ["x"], "y"))


def drop(path: str) -> None:
    """Read a file as pyarrow does by default, and drop what was read."""
    with pq.ParquetFile(path) as file:
        for _ in file.iter_batches():
            pass


def main(who: str, path: str) -> None:
    """Read a file, and print the seconds and the peak resident memory in MB (10^6 bytes)."""
    if who == "ours":
        from components.data import stream  # noqa: F401 - imported before the clock starts
        from components.train.regression import SimpleLinearRegression

        # The first fit of a process imports more of scikit-learn.
        SimpleLinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    start = time.perf_counter()
    (fit if who == "ours" else drop)(path)
    seconds = time.perf_counter() - start
    # Unlike getrusage, it does not begin with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s*(\d+) kB", status)
    print(json.dumps([seconds, int(peak[1]) * 1024 / 1e6 if peak else float("nan")]))


if __name__ == "__main__":
    main(*sys.argv[1:])
