"""Runs the predictor without its counters, to measure what they cost.

Usage: python -P tests/benchmarks/without.py python -m predictor [flags]
"""

import runpy
import sys

from predictor.observability.counting import Series


def main() -> None:
    """Run what the arguments say."""
    setattr(Series, "observe", lambda *_arguments: None)  # noqa: B010  its type is fixed
    sys.argv = sys.argv[sys.argv.index("predictor") :]
    runpy.run_module("predictor", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
