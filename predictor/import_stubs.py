"""Importing KServe without what only its other parts need.

``import kserve`` brings pandas, for requests as data frames, and the whole Kubernetes client, for those who
manage InferenceServices: together more than half of the time that the predictor takes to start, and of the
memory that it holds. Serving touches neither.
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any


class _Missing:
    """Stands for a class of a module that was left out: good for annotations and ``isinstance`` alone."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        raise ImportError(f"{type(self).__module__}.{type(self).__qualname__}: left out of the predictor")


class _Stub(ModuleType):
    """A module in which whatever is asked for is missing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = type(name, (_Missing,), {"__module__": self.__name__})
        setattr(self, name, found)
        return found


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stub for every module of some packages."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)
        self.made: list[str] = []

    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        self.made.append(spec.name)
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is."""


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """Import as if ``packages`` were there, with nothing in them; afterwards they can be imported in earnest.

    A package that is imported already is not touched.
    """
    finder = _Finder([package for package in packages if package not in sys.modules])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.made:
            del sys.modules[name]
