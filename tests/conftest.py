"""Settings of all tests."""

import gc
import os
import sys
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

# Without it scikit-learn skips its array API check; it counts only when set before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# There is a test process for each processor already: more threads wait for each other, and turn in circles
# meanwhile.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# jsonschema imports it to check the format "iri", which no schema here has. It builds 38 parsers, which takes
# seconds.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# What the imports leave is there to the end: to look through it again and again takes a tenth of the time.
gc.disable()

# The same cases in every run, without a time limit: what passed once passes on any machine. New cases
# are searched for with `pytest --hypothesis-profile=search`.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("same")

if "PYTEST_XDIST_WORKER" in os.environ:

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection() -> None:
        """Import the pipeline first: for each of its settings, KFP looks through all modules."""
        import pipeline  # noqa: F401


def pytest_collection_finish() -> None:
    """Collect garbage, from here on, among new objects only."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 10)


FIRST = ("tests/contract/", "tests/pipeline/test_runs.py")
"""What takes longest, so that no process is left with it at the end."""


class SharedServers(LoadFileScheduling):
    """Gives each test process whole files, and one of them all contract tests, which share servers."""

    def _split_scope(self, nodeid: str) -> str:
        return FIRST[0] if nodeid.startswith(FIRST[0]) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedServers | None:
    """Distribute files with ``--dist loadfile``."""
    return SharedServers(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest tests come first."""
    for start in reversed(FIRST):
        items.sort(key=lambda item: not item.nodeid.startswith(start))
