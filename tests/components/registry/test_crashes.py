"""Registrations that die before, between or after their writes."""

import shutil
from pathlib import Path

import pytest

from components.registry import index
from components.registry.registry import Registry, open_registry
from tests.components.conftest import MakeModel
from tests.components.registry.crashes import Crash, crash_while_registering, record_writes
from tests.components.registry.decisions import BETTER, accept, champion_slope, if_steeper, index_of
from tests.support.registry import empty_registry

PROMOTION = ["create_model", "create", "publish", "point", "tag", "tag", "point", "tag"]
CHALLENGER_AT = PROMOTION.index("point")
CHAMPION_AT = PROMOTION.index("point", CHALLENGER_AT + 1)


@pytest.fixture
def with_champion(champion_root: Path) -> Registry:
    return open_registry(champion_root)


def test_the_writes_of_a_promotion(
    with_champion: Registry, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = record_writes(monkeypatch)
    with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, if_steeper(2))
    assert written == PROMOTION


@pytest.mark.parametrize("writes", range(len(PROMOTION) + 1))
def test_a_crash_after_any_write_leaves_a_champion_and_the_same_run_completes(
    with_champion: Registry, champion_root: Path, make_model: MakeModel, writes: int
) -> None:
    crash_while_registering(with_champion, make_model(2.0), 2, writes=writes)
    promoted = writes > CHAMPION_AT
    assert champion_slope(with_champion) == (2.0 if promoted else 1.0)
    done = with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, if_steeper(2))
    assert (done.version, done.champion, done.decision) == (2, 2, BETTER)
    assert champion_slope(with_champion) == 2.0
    assert index_of(champion_root).version(2).tags["previous_champion"] == "1"
    assert [version.number for version in index_of(champion_root).latest()] == [2, 1]


@pytest.mark.parametrize("writes", range(len(PROMOTION) + 1))
def test_a_crash_after_any_write_does_not_hinder_the_next_run(
    with_champion: Registry, make_model: MakeModel, writes: int
) -> None:
    crash_while_registering(with_champion, make_model(2.0), 2, writes=writes)
    done = with_champion.register(make_model(3.0), "run-3", {"slope": "3"}, if_steeper(3))
    assert done.decision == BETTER
    assert champion_slope(with_champion) == 3.0
    late = with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, if_steeper(2))
    assert late.champion == done.version
    assert champion_slope(with_champion) == 3.0


def test_a_crash_while_copying_a_folder_leaves_no_partial_version(
    registry: Registry, root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(2.0)

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(Crash):
            registry.register(folder, "run-1", {}, accept)
    versions = root / "models" / "linear-regressor"
    assert not (versions / "1").exists()
    (versions / ".1.unfinished").mkdir()  # what a killed process leaves
    assert registry.register(folder, "run-1", {}, accept).champion == 1
    assert [entry.name for entry in versions.iterdir()] == ["1"]


def test_a_crash_while_creating_the_index_leaves_no_partial_index(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, created = tmp_path / "new", empty_registry(tmp_path_factory, tmp_path / "created") / "mlflow.db"

    def crash(uri: str) -> None:
        (root / "mlflow.db.new").write_bytes(b"half an index")
        raise Crash

    def create(uri: str) -> None:
        assert (root / "mlflow.db.new").read_bytes() != b"half an index"
        shutil.copy(created, root / "mlflow.db.new")

    with monkeypatch.context() as patch:
        patch.setattr(index, "_connect", crash)
        with pytest.raises(Crash), index_of(root).exclusive():
            pass
        assert open_registry(root).champion() is None
        patch.setattr(index, "_connect", create)
        with index_of(root).exclusive():
            pass
    assert index_of(root).aliases() == {}
    assert sorted(entry.name for entry in root.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
