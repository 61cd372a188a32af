"""Processes that die between two writes to the registry."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from components.registry.folders import LocalFolders
from components.registry.index import Index
from components.registry.registry import Registry
from tests.components.registry.decisions import if_steeper

WRITES = {
    Index: ("create_model", "create", "delete", "tag", "point"),
    LocalFolders: ("publish",),
}


class Crash(BaseException):
    """The process dies here; nothing in the code may catch it."""


class CrashAfter:
    """Dies when so many writes are done; after 0 writes, before the first."""

    def __init__(self, writes: int) -> None:
        self.writes = writes

    def __call__(self, position: int) -> "CrashAfter":
        self.position = position
        return self

    def __enter__(self) -> None:
        if self.position == self.writes:
            raise Crash

    def __exit__(self, *_: object) -> None:
        if self.position + 1 == self.writes:
            raise Crash


def record_writes(
    monkeypatch: pytest.MonkeyPatch, around: Callable[[int], AbstractContextManager[None]] | None = None
) -> list[str]:
    """Return a list to which every write to index and folders adds its name.

    Args:
        monkeypatch: undoes the recording.
        around: makes a context for each write, given its position.
    """
    written: list[str] = []

    def record(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def recorded(self: Any, *arguments: Any) -> Any:
            with around(len(written)) if around else nullcontext():
                written.append(name)
                return original(self, *arguments)

        monkeypatch.setattr(kind, name, recorded)

    for kind, names in WRITES.items():
        for name in names:
            record(kind, name)
    return written


def crash_while_registering(registry: Registry, folder: Path, slope: float, *, writes: int) -> None:
    """Register a model as ``run-SLOPE``, and die when so many writes are done."""
    with pytest.MonkeyPatch.context() as patch:
        record_writes(patch, CrashAfter(writes))
        with pytest.raises(Crash):
            registry.register(folder, f"run-{slope:g}", {"slope": str(slope)}, if_steeper(slope))
