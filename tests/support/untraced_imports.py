"""A plugin of coverage.py: the imports of other packages, most of a process's start, are not traced."""

import sys
import threading
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

MEASURED = ("components", "predictor", "pipeline")

_execute = SourceFileLoader.exec_module


class _Importing(threading.local):
    """The trace function that a thread had before it began to import other packages."""

    tracer: Any = None


_importing = _Importing()


def _exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
    """Run a module's code, traced only if it is one of those that are measured."""
    before, outer = sys.gettrace(), _importing.tracer
    tracer = before or outer
    measured = module.__name__.partition(".")[0] in MEASURED
    _importing.tracer = tracer
    sys.settrace(tracer if measured else None)
    try:
        _execute(loader, module)
    finally:
        sys.settrace(before)
        _importing.tracer = outer


def coverage_init(_registry: object, _options: object) -> None:
    """Begin, in each process that is measured."""
    SourceFileLoader.exec_module = _exec_module  # type: ignore[method-assign]
