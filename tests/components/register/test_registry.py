import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from components.register.folders import FolderError, Folders, LocalFolders, open_folders
from components.register.gate import Decision
from components.register.index import Index, Version, open_index
from components.register.registry import Registration, Registry, RegistryError, open_registry
from predictor.model import artifact

MakeModel = Callable[..., Path]
PASS = Decision(promote=True, reasons=("better",))
REFUSE = Decision(promote=False, reasons=("worse",))
WRITES = {
    Index: ("create_model", "create", "delete", "tag", "point"),
    LocalFolders: ("publish",),
}


class Crash(BaseException):
    """The process dies here; nothing in the code may catch it."""


def allow(champion: Version | None) -> Decision:
    return PASS


def refuse(champion: Version | None) -> Decision:
    return REFUSE


def the_steeper(slope: float) -> Callable[[Version | None], Decision]:
    """A gate by which the model with the larger slope, told in its lineage, is the better one."""
    return lambda champion: PASS if champion is None or slope > float(champion.tags["slope"]) else REFUSE


def served(registry: Registry) -> float | None:
    """The slope of the champion, read from its verified folder."""
    champion = registry.champion()
    return None if champion is None else registry.entry(champion).model.weights[0]


def index_of(root: Path) -> Index:
    return open_index("", "linear-regressor", root / "mlflow.db")


def decision_of(version: Version) -> dict[str, Any]:
    decision: dict[str, Any] = json.loads(version.tags["decision"])
    return decision


def test_an_empty_registry_has_no_champion(tmp_path: Path) -> None:
    assert open_registry(tmp_path / "nothing").champion() is None
    assert not (tmp_path / "nothing").exists()


def test_the_first_registration_makes_the_index(tmp_path: Path, make_model: MakeModel) -> None:
    root = tmp_path / "a new place, 100%20 odd #1?"
    done = open_registry(root).register(make_model(2.0), "run-1", {}, allow)
    assert done.version == 1
    assert done.champion_uri == str(root / "models" / "linear-regressor" / "1")
    assert served(open_registry(root)) == 2.0


def test_a_pass_makes_a_version_challenger_and_champion(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    done = registry.register(make_model(2.0), "run-1", {"data_fingerprint": "abc"}, allow)
    place = root / "models" / "linear-regressor" / "1"
    assert done == Registration(1, str(place), PASS, champion=1, champion_uri=str(place))
    assert index_of(root).aliases() == {"challenger": 1, "champion": 1}
    version = index_of(root).version(1)
    assert version.tags["data_fingerprint"] == "abc"
    assert version.tags["run_id"] == "run-1"
    assert version.digest == artifact.read(place)[1]
    assert "previous_champion" not in version.tags
    assert decision_of(version) == {"run_id": "run-1", "promote": True, "reasons": ["better"]}


def test_a_refusal_makes_a_version_and_keeps_the_champion(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, allow)
    done = registry.register(make_model(1.0), "run-2", {}, refuse)
    assert (done.version, done.champion, done.decision) == (2, 1, REFUSE)
    assert index_of(root).aliases() == {"challenger": 2, "champion": 1}
    assert decision_of(index_of(root).version(2))["reasons"] == ["worse"]
    assert served(registry) == 2.0


def test_a_first_model_that_is_refused_leaves_no_champion(registry: Registry, make_model: MakeModel) -> None:
    done = registry.register(make_model(2.0), "run-1", {}, refuse)
    assert (done.version, done.champion, done.champion_uri) == (1, None, None)
    assert registry.champion() is None


def test_a_promotion_remembers_whom_it_replaced(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(1.0), "run-1", {}, allow)
    registry.register(make_model(2.0), "run-2", {}, allow)
    assert index_of(root).version(2).tags["previous_champion"] == "1"
    assert served(registry) == 2.0
    assert artifact.read(root / "models" / "linear-regressor" / "1")[0].weights == (1.0,)


def test_the_same_run_registered_twice_changes_nothing(
    registry: Registry, root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.register(make_model(2.0), "run-1", {}, allow)
    counted = count_writes(monkeypatch)
    assert registry.register(make_model(2.0), "run-1", {}, refuse) == first
    assert counted == []


def test_a_run_that_comes_back_with_another_model_is_refused(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, allow)
    with pytest.raises(RegistryError, match="run run-1 is version 1, with another model"):
        registry.register(make_model(3.0), "run-1", {}, allow)
    assert len(index_of(root).latest()) == 1


def test_another_run_with_the_same_model_links_to_its_version(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, allow)
    done = registry.register(make_model(2.0), "run-2", {}, refuse)
    assert (done.version, done.champion) == (1, 1)
    assert done.decision.reasons == ("this model is the champion already, version 1",)
    version = index_of(root).version(1)
    assert version.tags["run_id"] == "run-1"
    assert decision_of(version)["promote"] is True
    linked = index_of(root).by_run("run-2")
    assert linked is not None
    assert linked.number == 1


def test_a_model_that_was_refused_can_pass_on_another_day(registry: Registry, make_model: MakeModel) -> None:
    registry.register(make_model(1.0), "run-1", {}, allow)
    registry.register(make_model(2.0), "run-2", {}, refuse)
    done = registry.register(make_model(2.0), "run-3", {}, allow)
    assert (done.version, done.champion, done.decision) == (2, 2, PASS)


@pytest.mark.parametrize("run_id", ["", "a b", "x' or '1'='1", "`", "é", "a" * 201])
def test_a_run_id_that_could_not_be_found_again_is_refused(
    registry: Registry, root: Path, make_model: MakeModel, run_id: str
) -> None:
    with pytest.raises(ValueError, match="a run id is made of"):
        registry.register(make_model(2.0), run_id, {}, allow)
    assert index_of(root).aliases() == {}


def test_a_gate_that_cannot_decide_leaves_nothing_behind(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    def undecided(champion: Version | None) -> Decision:
        raise RuntimeError("can't compare")

    with pytest.raises(RuntimeError, match="can't compare"):
        registry.register(make_model(2.0), "run-1", {}, undecided)
    assert index_of(root).latest() == []
    assert not (root / "models").exists()


def test_a_damaged_model_is_never_registered(registry: Registry, root: Path, make_model: MakeModel) -> None:
    folder = make_model(2.0)
    (folder / "model.json").write_text("{}")
    with pytest.raises(artifact.ArtifactError, match=r"model\.json"):
        registry.register(folder, "run-1", {}, allow)
    assert index_of(root).latest() == []


def test_a_champion_that_was_tampered_with_is_never_scored(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(1.0), "run-1", {}, allow)
    place = root / "models" / "linear-regressor" / "1"
    shutil.rmtree(place)
    shutil.copytree(make_model(9.0), place)
    champion = registry.champion()
    assert champion is not None
    with pytest.raises(FolderError, match="version 1 holds the model"):
        registry.entry(champion)


def test_a_version_is_never_overwritten(root: Path, make_model: MakeModel) -> None:
    folders = open_folders(root, "linear-regressor")
    folders.publish(make_model(1.0), 1)
    folders.publish(make_model(1.0), 1)
    with pytest.raises(FolderError, match="never overwritten"):
        folders.publish(make_model(2.0), 1)
    assert folders.load(1)[0].weights == (1.0,)


def test_a_registry_can_be_moved_to_another_folder(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, allow)
    moved = root.rename(root.with_name("elsewhere"))
    assert served(open_registry(moved)) == 2.0


def test_models_in_an_object_store_are_registered_by_their_uri(
    root: Path, make_model: MakeModel, request: pytest.FixtureRequest
) -> None:
    place = f"memory://{request.node.name}"
    registry = open_registry(place, f"sqlite:///{root / 'mlflow.db'}")
    done = registry.register(make_model(2.0), "run-1", {}, allow)
    assert done.champion_uri == f"{place}/models/linear-regressor/1"
    assert index_of(root).aliases() == {"challenger": 1, "champion": 1}
    assert served(registry) == 2.0
    assert registry.register(make_model(2.0), "run-2", {}, allow).version == 1


def test_an_upload_that_broke_off_is_completed(
    make_model: MakeModel, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    place = f"memory://{request.node.name}"
    folders = open_folders(place, "linear-regressor")
    store = fsspec.filesystem("memory")
    store.pipe_file(f"{folders.uri(1)}/model.json", b"half of")
    with pytest.raises(
        FolderError, match=f"{folders.uri(1)}.*reference.json is missing|manifest.json is missing"
    ):
        folders.load(1)
    folders.publish(make_model(2.0), 1)
    assert folders.load(1)[0].weights == (2.0,)


@pytest.mark.parametrize(
    ("root", "tracking_uri", "message"),
    [
        ("s3://bucket", "", "need a tracking_uri"),
        ("models", "http://mlflow:5000", "can't reach folders on this machine"),
    ],
)
def test_an_index_and_folders_that_do_not_reach_each_other_are_refused(
    root: str, tracking_uri: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_registry(root, tracking_uri)


def test_a_server_that_cannot_be_reached_is_an_error_and_not_an_absent_champion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = open_registry("memory://unreachable", "http://127.0.0.1:1")
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        registry.champion()


def count_writes(
    monkeypatch: pytest.MonkeyPatch, crash: Callable[[int], AbstractContextManager[None]] | None = None
) -> list[str]:
    """Note every write to index and folders; ``crash`` surrounds each, given its place in the row."""
    written: list[str] = []

    def watch(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def watched(self: Any, *arguments: Any) -> Any:
            with crash(len(written)) if crash else nullcontext():
                written.append(name)
                return original(self, *arguments)

        monkeypatch.setattr(kind, name, watched)

    for kind, names in WRITES.items():
        for name in names:
            watch(kind, name)
    return written


class Dying:
    """Dies before or after the write at one place in the row."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at = at
        self.after = after

    def __call__(self, place: int) -> "Dying":
        self.here = place == self.at
        return self

    def __enter__(self) -> None:
        if self.here and not self.after:
            raise Crash

    def __exit__(self, *_: object) -> None:
        if self.here and self.after:
            raise Crash


ROW = ["create_model", "create", "publish", "point", "tag", "tag", "point", "tag"]


@pytest.fixture
def with_champion(registry: Registry, make_model: MakeModel) -> Registry:
    registry.register(make_model(1.0), "run-1", {"slope": "1"}, allow)
    return registry


def test_these_are_the_writes_of_a_promotion(
    with_champion: Registry, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = count_writes(monkeypatch)
    with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, the_steeper(2))
    assert written == ROW


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(ROW)))
def test_a_crash_at_any_write_leaves_a_champion_and_running_again_completes(
    with_champion: Registry, root: Path, make_model: MakeModel, at: int, after: bool
) -> None:
    crash_at(with_champion, make_model, at=at, after=after)
    moved = (at, after) >= (ROW.index("point", ROW.index("point") + 1), True)
    assert served(with_champion) == (2.0 if moved else 1.0)
    done = with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, the_steeper(2))
    assert (done.version, done.champion, done.decision) == (2, 2, PASS)
    assert served(with_champion) == 2.0
    assert index_of(root).version(2).tags["previous_champion"] == "1"
    assert [version.number for version in index_of(root).latest()] == [2, 1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(ROW)))
def test_a_crash_at_any_write_does_not_hinder_the_next_run(
    with_champion: Registry, make_model: MakeModel, at: int, after: bool
) -> None:
    crash_at(with_champion, make_model, at=at, after=after)
    done = with_champion.register(make_model(3.0), "run-3", {"slope": "3"}, the_steeper(3))
    assert done.decision == PASS
    assert served(with_champion) == 3.0
    late = with_champion.register(make_model(2.0), "run-2", {"slope": "2"}, the_steeper(2))
    assert late.champion == done.version
    assert served(with_champion) == 3.0


def crash_at(registry: Registry, make_model: MakeModel, *, at: int, after: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        count_writes(patch, Dying(at, after=after))
        with pytest.raises(Crash):
            registry.register(make_model(2.0), "run-2", {"slope": "2"}, the_steeper(2))


def test_a_crash_while_a_folder_is_copied_leaves_no_half_version(
    registry: Registry, root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(2.0)

    def die(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(Crash):
            registry.register(folder, "run-1", {}, allow)
    versions = root / "models" / "linear-regressor"
    assert not (versions / "1").exists()
    (versions / ".1.unfinished").mkdir()  # what a killed process leaves
    assert registry.register(folder, "run-1", {}, allow).champion == 1
    assert [entry.name for entry in versions.iterdir()] == ["1"]


def test_a_crash_while_the_index_is_made_leaves_no_half_index(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(uri: str) -> None:
        (tmp_path / "mlflow.db.new").write_bytes(b"half an index")
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("components.register.index._connect", die)
        with pytest.raises(Crash), index_of(tmp_path).exclusive():
            pass
    assert open_registry(tmp_path).champion() is None
    with index_of(tmp_path).exclusive():
        assert index_of(tmp_path).aliases() == {}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_of_many_registrations_at_once_the_best_ends_as_champion(root: Path, make_model: MakeModel) -> None:
    slopes = [3.0, 1.0, 5.0, 2.0, 4.0]
    folders = [make_model(slope) for slope in slopes]

    def run(slope: float, folder: Path) -> Registration:
        return open_registry(root).register(folder, f"run-{slope}", {"slope": str(slope)}, the_steeper(slope))

    with ThreadPoolExecutor(len(slopes)) as pool:
        done = list(pool.map(run, slopes, folders))
    assert sorted(registration.version for registration in done) == [1, 2, 3, 4, 5]
    assert served(open_registry(root)) == 5.0
    replaced = 0.0
    for registration, slope in sorted(zip(done, slopes, strict=True), key=lambda pair: pair[0].version):
        assert registration.decision.promote is (slope > replaced)
        replaced = max(replaced, slope)


class SharedIndex(Index):
    """An index as on a server: nothing is locked, others write in between."""

    meanwhile: Callable[[str], None] = staticmethod(lambda call: None)

    @property
    def shared(self) -> bool:
        return True

    def exclusive(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    def latest(self, count: int = 100) -> list[Version]:
        found = super().latest(count)
        self.meanwhile("latest")
        return found

    def tag(self, number: int, key: str, value: str) -> None:
        super().tag(number, key, value)
        self.meanwhile(key)


def shared_registry(root: Path, meanwhile: Callable[[str], None] = lambda call: None) -> Registry:
    index = SharedIndex("linear-regressor", database=root / "mlflow.db")
    index.meanwhile = meanwhile
    folders: Folders = open_folders(root, "linear-regressor")
    return Registry(index, folders)


def test_a_champion_that_moves_while_the_gate_decides_is_noticed(root: Path, make_model: MakeModel) -> None:
    shared_registry(root).register(make_model(1.0), "run-1", {"slope": "1"}, allow)
    others = [(make_model(5.0), "run-5")]

    def another_is_faster(call: str) -> None:
        if call == "decision" and others:
            folder, run_id = others.pop()
            index = index_of(root)
            digest = artifact.read(folder)[1]
            version = index.create(str(folder), {"slope": "5", "digest": digest, "run_id": run_id})
            open_folders(root, "linear-regressor").publish(folder, version.number)
            index.point("champion", version.number)

    late = shared_registry(root, another_is_faster)
    done = late.register(make_model(2.0), "run-2", {"slope": "2"}, the_steeper(2))
    assert (done.decision, done.champion) == (REFUSE, 3)
    assert served(late) == 5.0


def test_a_number_that_another_took_is_left_to_it(root: Path, make_model: MakeModel) -> None:
    others = ["run-9"]

    def another_is_faster(call: str) -> None:
        if call == "latest" and others:
            index_of(root).create("elsewhere/1", {"digest": "d", "run_id": others.pop(), "run/run-9": "done"})

    done = shared_registry(root, another_is_faster).register(make_model(2.0), "run-1", {}, allow)
    assert (done.version, done.champion) == (3, 3)
    assert [version.number for version in index_of(root).latest()] == [3, 1]
    assert Path(done.uri).name == "3"


def test_on_a_server_earlier_versions_go_first(root: Path, make_model: MakeModel) -> None:
    slopes = [3.0, 1.0, 5.0, 2.0]
    shared_registry(root).register(make_model(0.5), "run-0", {"slope": "0.5"}, allow)
    folders = [make_model(slope) for slope in slopes]

    def run(slope: float, folder: Path) -> Registration:
        return shared_registry(root).register(
            folder, f"run-{slope}", {"slope": str(slope)}, the_steeper(slope)
        )

    with ThreadPoolExecutor(len(slopes)) as pool:
        done = list(pool.map(run, slopes, folders))
    assert len({registration.version for registration in done}) == len(slopes)
    assert served(shared_registry(root)) == 5.0


def test_a_registration_that_died_on_a_server_is_not_waited_for_long(
    root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = shared_registry(root)
    with monkeypatch.context() as patch:
        count_writes(patch, Dying(2, after=False))
        with pytest.raises(Crash):
            registry.register(make_model(1.0), "run-1", {}, allow)
    monkeypatch.setattr("components.register.registry.LEASE", 0.0)
    assert registry.register(make_model(2.0), "run-2", {}, allow).champion == 2
