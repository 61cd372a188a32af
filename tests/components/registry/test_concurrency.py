"""Registrations at the same time: under a file's lock, and on a server that has none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from components.registry.folders import open_folders
from components.registry.index import Index, Version
from components.registry.registry import Registration, Registry, open_registry
from predictor.model import artifact
from tests.components.conftest import MakeModel
from tests.components.registry.crashes import crash_while_registering
from tests.components.registry.decisions import WORSE, accept, champion_slope, if_steeper, index_of


class ServerIndex(Index):
    """An index as on a server: without a lock, so that others may write at any time."""

    on_call: Callable[[str], None] = staticmethod(lambda call: None)

    @property
    def shared(self) -> bool:
        return True

    def exclusive(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    def latest(self, count: int = 100) -> list[Version]:
        found = super().latest(count)
        self.on_call("latest")
        return found

    def tag(self, number: int, key: str, value: str) -> None:
        super().tag(number, key, value)
        self.on_call(key)


def open_on_server(root: Path, on_call: Callable[[str], None] = lambda call: None) -> Registry:
    """Open a registry whose index behaves as one on a server.

    Args:
        root: of the registry.
        on_call: called with ``latest`` after the versions were listed, and with the key after a tag was set.
    """
    index = ServerIndex("linear-regressor", database=root / "mlflow.db")
    index.on_call = on_call
    return Registry(index, open_folders(root, "linear-regressor"))


def register_together(
    slopes: list[float], open_one: Callable[[], Registry], make_model: MakeModel
) -> list[Registration]:
    """Register models in threads, each with a registry opened for it."""
    folders = [make_model(slope) for slope in slopes]

    def run(slope: float, folder: Path) -> Registration:
        return open_one().register(folder, f"run-{slope}", {"slope": str(slope)}, if_steeper(slope))

    with ThreadPoolExecutor(len(slopes)) as pool:
        return list(pool.map(run, slopes, folders))


def test_the_best_of_simultaneous_registrations_becomes_champion(root: Path, make_model: MakeModel) -> None:
    slopes = [3.0, 1.0, 5.0, 2.0, 4.0]
    done = register_together(slopes, lambda: open_registry(root), make_model)
    assert sorted(registration.version for registration in done) == [1, 2, 3, 4, 5]
    assert champion_slope(open_registry(root)) == 5.0
    best = 0.0
    for registration, slope in sorted(zip(done, slopes, strict=True), key=lambda pair: pair[0].version):
        assert registration.decision.promote is (slope > best)
        best = max(best, slope)


def test_on_a_server_the_best_of_simultaneous_registrations_becomes_champion(
    champion_root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.registry.registry.POLL_SECONDS", 0.05)
    # However slow the machine is, each waits for those before it.
    monkeypatch.setattr("components.registry.registry.LEASE", 3600.0)
    slopes = [3.0, 1.5, 5.0, 2.0]
    done = register_together(slopes, lambda: open_on_server(champion_root), make_model)
    assert len({registration.version for registration in done}) == len(slopes)
    assert champion_slope(open_on_server(champion_root)) == 5.0


def test_on_a_server_a_champion_that_changes_during_the_decision_is_compared_again(
    champion_root: Path, make_model: MakeModel
) -> None:
    others = [(make_model(5.0), "run-5")]

    def promote_another(call: str) -> None:
        if call == "decision" and others:
            folder, run_id = others.pop()
            index = index_of(champion_root)
            digest = artifact.read(folder)[1]
            version = index.create(str(folder), {"slope": "5", "digest": digest, "run_id": run_id})
            open_folders(champion_root, "linear-regressor").publish(folder, version.number)
            index.point("champion", version.number)

    late = open_on_server(champion_root, promote_another)
    done = late.register(make_model(2.0), "run-2", {"slope": "2"}, if_steeper(2))
    assert (done.decision, done.champion) == (WORSE, 3)
    assert champion_slope(late) == 5.0


def test_on_a_server_a_version_number_taken_meanwhile_is_not_used(root: Path, make_model: MakeModel) -> None:
    others = ["run-9"]

    def take_number(call: str) -> None:
        if call == "latest" and others:
            index_of(root).create("elsewhere/1", {"digest": "d", "run_id": others.pop(), "run/run-9": "done"})

    done = open_on_server(root, take_number).register(make_model(2.0), "run-1", {}, accept)
    assert (done.version, done.champion) == (3, 3)
    assert [version.number for version in index_of(root).latest()] == [3, 1]
    assert Path(done.uri).name == "3"


def test_on_a_server_a_dead_registration_is_not_waited_for(
    root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_on_server(root)
    crash_while_registering(registry, make_model(1.0), 1, writes=2)
    monkeypatch.setattr("components.registry.registry.LEASE", 0.0)
    assert registry.register(make_model(2.0), "run-2", {}, accept).champion == 2
