"""Processor time of a local run of the pipeline, against that of importing what it needs, in turns."""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.timing import Row, duration

IMPORTS = "import kfp, sklearn.linear_model, mlflow"
PIPELINE = Path(__file__).parents[2] / "pipeline.py"
MOST = 2.0


def main(arguments: list[str]) -> int:
    """Print the two rows; 1 when a threshold is missed."""
    parser = argparse.ArgumentParser(prog="benchmark.py run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (%(default)s)")
    options = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {"imports": [], "first": [], "next": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            run = [sys.executable, str(PIPELINE), "run", "--local", folder]
            seconds["imports"].append(processor_seconds([sys.executable, "-c", IMPORTS]))
            seconds["first"].append(processor_seconds(run))
            seconds["next"].append(processor_seconds(run))
    rows = [
        _row("a run with the defaults, new registry", seconds["first"], seconds["imports"]),
        _row("the same, second run", seconds["next"], seconds["imports"]),
    ]
    print(*rows, sep="\n")
    return 0 if all(row.holds for row in rows) else 1


def processor_seconds(command: list[str]) -> float:
    """Run a command; returns the processor time that it and its children took.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _row(work: str, ours: list[float], theirs: list[float]) -> Row:
    ratio = statistics.median(own / other for own, other in zip(ours, theirs, strict=True))
    return Row(
        work=work,
        reference=f'python -c "{IMPORTS}"',
        ours=duration(statistics.median(ours)),
        theirs=duration(statistics.median(theirs)),
        measured=f"{ratio:.2f} of its processor time",
        threshold=f"<= {MOST:g}",
        holds=ratio <= MOST,
    )
