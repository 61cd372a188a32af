"""A canary through its steps: versions that pass or fail, and jobs that are killed."""

import math
from contextlib import suppress
from dataclasses import replace

import pytest

from components.operations.rollout.canary import RolledBackError, canary
from components.operations.rollout.errors import BusyError, EndedError, RolloutError
from components.operations.rollout.judge import Answer
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.reconcile import reconcile
from tests.components.operations.rollout.conftest import Killed, World

POLICY = Policy(steps=(Step(10, 8), Step(50, 8)), requests=50, ready_seconds=60)
FAULTS = {
    "fails requests": Answer(0.01, None),
    "predicts NaN": Answer(0.01, math.nan),
    "is slow": Answer(1.0, 3.0),
    "predicts other values": Answer(0.01, 1e6),
}


def check_settled(world: World) -> None:
    """Check that the canary has no weight, the routes no progress, and every pod serves the champion."""
    assert world.cluster.weights() == {0}
    assert not world.cluster.progress()
    assert world.cluster.served() == {str(world.champion())}
    assert not world.index.version(world.champion()).withdrawn


def test_a_sound_version_passes_each_step_and_is_promoted(world: World) -> None:
    world.make_champion(2)
    canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 2
    assert world.outcome(2) == "served"
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 50]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_version_is_rolled_back_at_its_first_step(fault: str, world: World) -> None:
    world.make_champion(2)
    world.canary["2"] = FAULTS[fault]
    with pytest.raises(RolledBackError, match="version 2 is rolled back to version 1: at 10 %"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 1
    assert "at 10 %" in world.index.version(2).withdrawn
    assert world.outcome(2) == "rolled back"
    assert any(event.startswith("RolledBack: version 2") for event in world.cluster.events)


def test_a_version_that_never_becomes_ready_gets_no_weight(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolledBackError, match="its pods did not come"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 1
    assert max(weight for weight, _ in world.cluster.history) == 0


def test_too_few_requests_repeat_the_step_and_never_pass(world: World) -> None:
    world.make_champion(2)
    world.rate = 1.0
    with pytest.raises(RolledBackError, match="step 1 was begun 3 times"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 10, 10]


@pytest.mark.parametrize("probes_fail", [True, False], ids=["probes failed", "no probe failed yet"])
def test_a_canary_that_loses_its_pods_loses_its_weight_and_repeats_the_step(
    probes_fail: bool, world: World
) -> None:
    world.make_champion(2)
    lost: list[float] = []

    def lose() -> None:
        if world.cluster.weights() == {50} and not lost:
            lost.append(world.clock.now())
            world.cluster.pods["lr-canary"] = []
            world.cluster.never_ready = {"2"}
            world.canary |= {"2": FAULTS["fails requests"]} if probes_fail else {}
        elif lost and world.cluster.weights() == {0} and len(lost) == 1:
            lost.append(world.clock.now())
            world.cluster.never_ready = set()
            world.canary.pop("2", None)
            world.cluster._roll("lr-canary")

    world.clock.on_sleep = lose
    canary(world.site(), POLICY)
    check_settled(world)
    assert lost[1] - lost[0] <= 2
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 50, 50]


def test_changes_the_canary_only_while_it_has_no_weight(world: World) -> None:
    world.make_champion(2)
    patch = world.cluster._patch

    def watched(key: str, change: object) -> object:
        if key == "inferenceservices/lr-canary":
            assert world.cluster.weights() == {0}
        return patch(key, change)  # type: ignore[arg-type]

    world.cluster._patch = watched  # type: ignore[assignment,method-assign]
    canary(world.site(), POLICY)
    check_settled(world)


def test_a_terminated_job_removes_the_canary_weight(world: World) -> None:
    world.make_champion(2)

    def terminate() -> None:
        if world.cluster.weights() == {10}:
            raise EndedError("told to end")

    world.clock.on_sleep = terminate
    with pytest.raises(EndedError):
        canary(world.site(), POLICY)
    assert world.cluster.weights() == {0}
    assert world.cluster.progress()
    world.clock.on_sleep = lambda: None
    canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 2


@pytest.mark.parametrize("dies", ["dies_before", "dies_after"])
@pytest.mark.parametrize("sound", [True, False], ids=["sound version", "faulty version"])
def test_the_next_job_completes_after_a_kill_at_any_write(sound: bool, dies: str) -> None:
    points = 0
    while True:
        world = World()
        world.make_champion(2)
        if not sound:
            world.canary["2"] = FAULTS["fails requests"]
        site = world.site()
        setattr(world.process, dies, points + 1)
        try:
            canary(site, POLICY)
        except Killed:
            assert world.cluster.served() <= {"1", "2"}
            assert world.cluster.served("lr-canary") or world.cluster.weights() == {0}
        except RolloutError:
            assert not world.process.dead
        ended = not world.process.dead
        for _ in range(2):
            with suppress(RolledBackError):
                reconcile(world.site(), POLICY)
        check_settled(world)
        assert world.champion() == (2 if sound else 1)
        if ended:
            break
        points += 1
    assert points > 10


def test_a_failed_version_gets_no_weight_again_when_no_version_can_be_restored(world: World) -> None:
    world.make_champion(2)
    world.registry.withdraw(1, "it is bad too", None)
    world.canary["2"] = FAULTS["fails requests"]
    for _ in range(3):
        with pytest.raises(RolloutError, match="version 2 is not to be served, and nothing else is: at 10 %"):
            canary(world.site(), POLICY)
    assert [weight for weight, _ in world.cluster.history if weight] == [10]
    assert world.cluster.weights() == {0}


def test_a_step_interrupted_by_termination_counts_as_an_attempt(world: World) -> None:
    world.make_champion(2)

    def terminate() -> None:
        if world.cluster.weights() == {10}:
            raise EndedError("told to end")

    world.clock.on_sleep = terminate
    for _ in range(POLICY.attempts):
        with pytest.raises(EndedError):
            canary(world.site(), POLICY)
    with pytest.raises(RolledBackError, match="step 1 was begun 3 times"):
        canary(world.site(), POLICY)
    check_settled(world)


def test_removes_a_weight_whose_window_is_over(world: World) -> None:
    world.make_champion(2)

    def die() -> None:
        if world.cluster.weights() == {10}:
            world.process.dead = True

    world.clock.on_sleep = die
    with pytest.raises(Killed):
        canary(world.site(), POLICY)
    assert world.cluster.weights() == {10}
    world.clock.on_sleep = lambda: None
    world.clock.seconds += 3600
    reconcile(world.site(), POLICY)
    check_settled(world)
    assert any("10 % outlived its window" in event for event in world.cluster.events)


def test_removes_a_weight_that_belongs_to_no_canary(world: World) -> None:
    world.site().routes.weigh(30, None)
    reconcile(world.site(), POLICY)
    check_settled(world)
    assert any("30 % is nobody's" in event for event in world.cluster.events)


def test_a_second_canary_at_the_same_time_is_refused(world: World) -> None:
    world.make_champion(2)
    other = world.site()
    said: list[str] = []

    def begin_another() -> None:
        if world.cluster.weights() == {10} and not said:
            said.append("")
            world.clock.on_sleep = world.cluster.renew
            with pytest.raises(BusyError, match="a canary is under way, by ") as caught:
                canary(other, POLICY)
            said[0] = str(caught.value)
            world.clock.on_sleep = lambda: None

    world.clock.on_sleep = begin_another
    canary(world.site(), POLICY)
    assert said[0]
    check_settled(world)
    assert world.champion() == 2


def test_a_canary_that_lost_its_lease_writes_nothing_more(world: World) -> None:
    world.make_champion(2)

    def take() -> None:
        if world.cluster.weights() == {10}:
            world.cluster.objects["leases/lr-rollout"]["spec"]["holderIdentity"] = "somebody"
            world.process.writes = 0

    world.clock.on_sleep = take
    with pytest.raises(BusyError, match="somebody took over"):
        canary(world.site(), POLICY)
    assert world.process.writes == 0


def test_a_new_champion_restarts_an_interrupted_canary(world: World) -> None:
    world.make_champion(2)
    site = world.site()
    world.process.dies_after = 6
    with pytest.raises(Killed):
        canary(site, POLICY)
    world.index.pointed["champion"] = 3
    canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 3


def test_without_a_policy_the_champion_is_served_without_a_canary(world: World) -> None:
    world.make_champion(2)
    reconcile(world.site(), None)
    check_settled(world)
    assert not [weight for weight, _ in world.cluster.history if weight]


def test_a_champion_served_before_needs_no_canary(world: World) -> None:
    world.make_champion(2)
    canary(world.site(), POLICY)
    world.serve(1)
    world.cluster.history.clear()
    reconcile(world.site(), replace(POLICY, attempts=1))
    check_settled(world)
    assert not [weight for weight, _ in world.cluster.history if weight]
