"""What a registration leaves in the registry, whatever the gate decides."""

import json
from pathlib import Path

import pytest

from components.registry.decision import Decision
from components.registry.index import Version
from components.registry.registry import Registration, Registry, RegistryError, open_registry
from predictor.model import artifact
from tests.components.conftest import MakeModel
from tests.components.registry.crashes import record_writes
from tests.components.registry.decisions import (
    BETTER,
    WORSE,
    accept,
    champion_slope,
    index_of,
    refuse,
)
from tests.support.models import weights_of


def test_an_empty_registry_has_no_champion(tmp_path: Path) -> None:
    assert open_registry(tmp_path / "nothing").champion() is None
    assert not (tmp_path / "nothing").exists()


def test_the_first_registration_creates_the_index(tmp_path: Path, make_model: MakeModel) -> None:
    root = tmp_path / "a new place, 100%20 odd #1?"
    done = open_registry(root).register(make_model(2.0), "run-1", {}, accept)
    assert done.version == 1
    assert done.champion_uri == str(root / "models" / "linear-regressor" / "1")
    assert champion_slope(open_registry(root)) == 2.0


def test_an_accepted_model_becomes_challenger_and_champion(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    done = registry.register(make_model(2.0), "run-1", {"data_fingerprint": "abc"}, accept)
    place = root / "models" / "linear-regressor" / "1"
    assert done == Registration(1, str(place), BETTER, champion=1, champion_uri=str(place))
    assert index_of(root).aliases() == {"challenger": 1, "champion": 1}
    version = index_of(root).version(1)
    assert version.tags["data_fingerprint"] == "abc"
    assert version.tags["run_id"] == "run-1"
    assert version.digest == artifact.read(place)[1]
    assert "previous_champion" not in version.tags
    decision = {"run_id": "run-1", "promote": True, "reasons": ["better"]}
    assert json.loads(version.tags["decision"]) == decision


def test_a_refused_model_becomes_a_version_and_the_champion_stays(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, accept)
    done = registry.register(make_model(1.0), "run-2", {}, refuse)
    assert (done.version, done.champion, done.decision) == (2, 1, WORSE)
    assert index_of(root).aliases() == {"challenger": 2, "champion": 1}
    assert json.loads(index_of(root).version(2).tags["decision"])["reasons"] == ["worse"]
    assert champion_slope(registry) == 2.0


def test_a_refused_first_model_leaves_no_champion(registry: Registry, make_model: MakeModel) -> None:
    done = registry.register(make_model(2.0), "run-1", {}, refuse)
    assert (done.version, done.champion, done.champion_uri) == (1, None, None)
    assert registry.champion() is None


def test_a_promotion_records_the_previous_champion(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(1.0), "run-1", {}, accept)
    registry.register(make_model(2.0), "run-2", {}, accept)
    assert index_of(root).version(2).tags["previous_champion"] == "1"
    assert champion_slope(registry) == 2.0
    assert weights_of(artifact.read(root / "models" / "linear-regressor" / "1")[0]) == (1.0,)


def test_registering_a_run_twice_writes_nothing(
    registry: Registry, root: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registry.register(make_model(2.0), "run-1", {}, accept)
    written = record_writes(monkeypatch)
    assert registry.register(make_model(2.0), "run-1", {}, refuse) == first
    assert written == []


def test_refuses_a_registered_run_with_another_model(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, accept)
    with pytest.raises(RegistryError, match="run run-1 is version 1, with another model"):
        registry.register(make_model(3.0), "run-1", {}, accept)
    assert len(index_of(root).latest()) == 1


def test_links_another_run_with_the_same_model_to_its_version(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    registry.register(make_model(2.0), "run-1", {}, accept)
    done = registry.register(make_model(2.0), "run-2", {}, refuse)
    assert (done.version, done.champion) == (1, 1)
    assert done.decision.reasons == ("this model is the champion already, version 1",)
    version = index_of(root).version(1)
    assert version.tags["run_id"] == "run-1"
    assert json.loads(version.tags["decision"])["promote"] is True
    linked = index_of(root).by_run("run-2")
    assert linked is not None
    assert linked.number == 1


def test_a_later_run_can_promote_a_model_refused_before(registry: Registry, make_model: MakeModel) -> None:
    registry.register(make_model(1.0), "run-1", {}, accept)
    registry.register(make_model(2.0), "run-2", {}, refuse)
    done = registry.register(make_model(2.0), "run-3", {}, accept)
    assert (done.version, done.champion, done.decision) == (2, 2, BETTER)


@pytest.mark.parametrize("run_id", ["", "a b", "x' or '1'='1", "`", "é", "a" * 201])
def test_refuses_a_run_id_with_other_characters(
    registry: Registry, root: Path, make_model: MakeModel, run_id: str
) -> None:
    with pytest.raises(ValueError, match="a run id is made of"):
        registry.register(make_model(2.0), run_id, {}, accept)
    assert index_of(root).aliases() == {}


def test_registers_nothing_when_the_gate_cannot_decide(
    registry: Registry, root: Path, make_model: MakeModel
) -> None:
    def undecided(champion: Version | None) -> Decision:
        raise RuntimeError("can't compare")

    with pytest.raises(RuntimeError, match="can't compare"):
        registry.register(make_model(2.0), "run-1", {}, undecided)
    assert index_of(root).latest() == []
    assert not (root / "models").exists()


@pytest.mark.parametrize(
    ("root", "tracking_uri", "message"),
    [
        ("s3://bucket", "", "need a tracking_uri"),
        ("models", "http://mlflow:5000", "can't reach folders on this machine"),
    ],
)
def test_refuses_an_index_that_cannot_be_used_with_the_folders(
    root: str, tracking_uri: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_registry(root, tracking_uri)


def test_an_unreachable_server_is_an_error_and_not_a_missing_champion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    registry = open_registry("memory://unreachable", "http://127.0.0.1:1")
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        registry.champion()
