"""A plugin of coverage.py that leaves other packages untraced; to trace them takes as long as to run them.

Untraced are their imports, most of a process's start, and the functions below.
"""

import functools
import sys
import threading
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

MEASURED = ("components", "predictor", "pipeline")

MLFLOW = """
__init__ create_experiment create_model_version create_registered_model create_run get_experiment_by_name
get_model_version get_registered_model log_artifact log_batch search_model_versions search_runs
set_model_version_tag set_registered_model_alias set_terminated
"""
FUNCTIONS = {
    "httpx._client": ["Client.send"],
    "hypothesis.internal.charmap": ["charmap"],
    "kfp.compiler.compiler": ["Compiler.compile"],
    "matplotlib.figure": ["Figure.savefig"],
    "mlflow.tracking.client": [f"MlflowClient.{name}" for name in MLFLOW.split()],
}
"""They do much in Python, and run nothing that is measured; by their modules."""

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
    _leave_untraced(module)


def _leave_untraced(module: ModuleType) -> None:
    for path in FUNCTIONS.get(module.__name__, ()):
        *outer, name = path.split(".")
        owner = functools.reduce(getattr, outer, module)
        setattr(owner, name, _untraced(getattr(owner, name)))


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(tracer)

    return call


def coverage_init(_registry: object, _options: object) -> None:
    """Begin, in each process that is measured."""
    SourceFileLoader.exec_module = _exec_module  # type: ignore[assignment,method-assign]
