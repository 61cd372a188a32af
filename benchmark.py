"""Measures what is claimed, and exits non-zero where a threshold is missed.

Usage: python benchmark.py [accuracy | decisions | run | training | model | serving] [options]
"""

import importlib
import sys

# Each is a module with main(arguments) -> exit status; it is imported only when it is asked for.
BENCHMARKS = {
    "accuracy": "tests.benchmarks.accuracy",
    "decisions": "tests.benchmarks.decisions",
    "run": "tests.benchmarks.local_run",
    "training": "tests.benchmarks.training",
    "model": "tests.benchmarks.model",
    "serving": "tests.benchmarks.serving",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark named first, accuracy by default, and return its exit status."""
    name, *options = arguments or ["accuracy"]
    if name not in BENCHMARKS:
        print(f"usage: benchmark.py [{' | '.join(BENCHMARKS)}] [options]", file=sys.stderr)
        return 2
    status: int = importlib.import_module(BENCHMARKS[name]).main(options)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
