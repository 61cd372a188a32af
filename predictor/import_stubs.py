"""Imports KServe without packages that only its other parts need.

``import kserve`` imports pandas, for requests as data frames, and for managing InferenceServices the
Kubernetes client and a module for each kind of object: more than half of the predictor's start time and
memory. Serving uses none of them. FastAPI, which KServe imports, imports OpenTelemetry.
"""

import contextlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any


class _Missing:
    """Replaces a class of a stubbed package; usable in annotations and ``isinstance`` only."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        raise ImportError(f"{type(self).__module__}.{type(self).__qualname__}: left out of the predictor")


class _Inert:
    """Replaces a class of which other modules make instances when they are imported; these do nothing."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        pass


class _Stub(ModuleType):
    """A module whose every attribute is a class."""

    def __init__(self, name: str, base: type) -> None:
        super().__init__(name)
        self._base = base

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = type(name, (self._base,), {"__module__": self.__name__})
        setattr(self, name, found)
        return found


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stub for every module of some packages."""

    def __init__(self, packages: Sequence[str], base: type) -> None:
        self.packages = frozenset(packages)
        self.inside = tuple(f"{package}." for package in packages)
        self.base = base
        self.stubbed: list[str] = []

    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.packages and not fullname.startswith(self.inside):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        self.stubbed.append(spec.name)
        return _Stub(spec.name, self.base)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a stub has no code."""


@contextlib.contextmanager
def without(*packages: str, inert: bool = False) -> Iterator[None]:
    """Replace ``packages`` by stubs for imports inside the block; later imports get the real packages.

    A package that is imported already stays as it is.

    Args:
        packages: their names.
        inert: whether instances of their classes can be made.
    """
    base = _Inert if inert else _Missing
    finder = _Finder([package for package in packages if package not in sys.modules], base)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.stubbed:
            del sys.modules[name]
