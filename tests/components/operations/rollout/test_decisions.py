"""The last decisions, for the metrics of the pods and as Events."""

import json
import math

import pytest

from components.operations.rollout.decisions import Decisions
from components.operations.rollout.errors import ApiError
from components.operations.rollout.policy import Policy
from components.operations.rollout.promote import promote
from components.operations.rollout.reconcile import reconcile
from tests.components.operations.rollout.conftest import World

PROMOTED = json.dumps({"promote": True, "reasons": ["mse 2 against 3 is better"]})
REFUSED = json.dumps({"promote": False, "reasons": ["mse 4 against 3 is worse"]})


@pytest.fixture
def decisions(world: World) -> Decisions:
    return Decisions(world.cluster, "ns", "lr", "linear-regressor-rollout", "a pod")  # type: ignore[arg-type]


def test_the_end_of_a_rollout_is_its_last_decision(world: World) -> None:
    world.make_champion(2)
    promote(world.site(), 60)
    entry = world.decision("rollout")
    assert (entry["outcome"], entry["version"]) == ("served", "2")
    assert entry["at"] > 1.7e9


def test_a_reconciliation_reports_the_gate_once(world: World) -> None:
    world.index._tag(1, "decision", PROMOTED)
    for _ in range(2):
        reconcile(world.site(), Policy())
    told = [event for event in world.cluster.events if event.startswith("Candidate")]
    assert told == ["CandidatePromoted: version 1: mse 2 against 3 is better"]
    first = world.decision("gate")
    assert (first["outcome"], first["version"], first["champion"]) == ("promoted", "1", "1")
    world.index._tag(2, "decision", REFUSED)
    reconcile(world.site(), Policy())
    assert world.cluster.events[-1] == "CandidateRefused: version 2: mse 4 against 3 is worse"
    entry = world.decision("gate")
    assert (entry["outcome"], entry["version"], entry["champion"]) == ("refused", "2", "1")


def test_another_champion_is_written_and_is_no_new_decision_of_the_gate(world: World) -> None:
    world.index._tag(1, "decision", PROMOTED)
    reconcile(world.site(), Policy())
    before = world.decision("gate")
    world.make_champion(3)
    reconcile(world.site(), None)
    assert world.decision("gate") == {**before, "champion": "3"}
    assert sum(event.startswith("Candidate") for event in world.cluster.events) == 1


def test_a_registry_without_decisions_is_no_error(world: World) -> None:
    reconcile(world.site(), Policy())
    assert "data" not in world.cluster.objects["configmaps/lr-decisions"]


def test_a_cluster_that_takes_no_decision_stops_no_rollout(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    del world.cluster.objects["configmaps/lr-decisions"]
    world.index._tag(1, "decision", PROMOTED)
    patch = world.cluster.patch

    def refusing(path: str, change: object) -> object:
        if "configmaps" in path:
            raise ApiError(403, "forbidden")
        return patch(path, change)  # type: ignore[arg-type]

    world.cluster.patch = refusing  # type: ignore[method-assign,assignment]
    world.make_champion(2)
    reconcile(world.site(), None)
    assert world.cluster.served() == {"2"}
    said = capsys.readouterr().err
    assert "the last decisions could not be read: no configmaps/lr-decisions" in said
    assert "the decision could not be written: forbidden" in said


def test_a_number_that_json_has_not_is_null(world: World, decisions: Decisions) -> None:
    decisions.note(
        "retraining", "not due", "1", ["no drift"], quality={"live": {"rows": 0, "error": math.nan}}
    )
    assert world.decision("retraining")["quality"] == {"live": {"rows": 0, "error": None}}


def test_an_entry_that_is_no_json_is_said_and_left(
    world: World, decisions: Decisions, capsys: pytest.CaptureFixture[str]
) -> None:
    world.cluster.objects["configmaps/lr-decisions"]["data"] = {"gate.json": "{"}
    assert not decisions.note_change("gate", "promoted", "1", [])
    assert "could not be read" in capsys.readouterr().err
