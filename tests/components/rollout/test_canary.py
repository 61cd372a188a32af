"""The canary, step by step: what each kind of version ends with, and what a killed job leaves."""

import math
from contextlib import suppress
from dataclasses import replace

import pytest

from components.rollout.canary import RolledBackError, canary
from components.rollout.errors import BusyError, EndedError, RolloutError
from components.rollout.judge import Answer
from components.rollout.policy import Policy, Step
from components.rollout.reconcile import reconcile
from tests.components.rollout.conftest import Killed, World

POLICY = Policy(steps=(Step(10, 8), Step(50, 8)), requests=50, ready_seconds=60)
FAULTS = {
    "errs": Answer(0.01, None),
    "answers NaN": Answer(0.01, math.nan),
    "is slow": Answer(1.0, 3.0),
    "says something else": Answer(0.01, 1e6),
}


def in_order(world: World) -> None:
    """What holds whatever happened: no weight, no memory, and the champion is what every pod serves."""
    assert world.cluster.weights() == {0}
    assert not world.cluster.memory()
    assert world.cluster.served() == {str(world.champion())}
    assert not world.index.version(world.champion()).withdrawn


def test_a_sound_version_goes_through_its_steps_and_is_promoted(world: World) -> None:
    world.make_champion(2)
    canary(world.site(), POLICY)
    in_order(world)
    assert world.champion() == 2
    assert world.outcome(2) == "served"
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 50]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_version_with_a_fault_is_rolled_back_at_its_first_step(fault: str, world: World) -> None:
    world.make_champion(2)
    world.canary["2"] = FAULTS[fault]
    with pytest.raises(RolledBackError, match="version 2 is rolled back to version 1: at 10 %"):
        canary(world.site(), POLICY)
    in_order(world)
    assert world.champion() == 1
    assert "at 10 %" in world.index.version(2).withdrawn
    assert world.outcome(2) == "rolled back"
    assert any(event.startswith("RolledBack: version 2") for event in world.cluster.events)


def test_a_version_that_never_becomes_ready_gets_no_weight(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolledBackError, match="its pods did not come"):
        canary(world.site(), POLICY)
    in_order(world)
    assert world.champion() == 1
    assert max(weight for weight, _ in world.cluster.history) == 0


def test_too_little_data_begins_the_step_again_and_never_passes(world: World) -> None:
    world.make_champion(2)
    world.rate = 1.0
    with pytest.raises(RolledBackError, match="step 1 was begun 3 times"):
        canary(world.site(), POLICY)
    in_order(world)
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 10, 10]


@pytest.mark.parametrize("seen", [True, False], ids=["and probes fail", "before any probe fails"])
def test_a_canary_without_pods_loses_its_weight_at_the_next_look_and_begins_again(
    seen: bool, world: World
) -> None:
    world.make_champion(2)
    lost: list[float] = []

    def lose() -> None:
        if world.cluster.weights() == {50} and not lost:
            lost.append(world.time.now())
            world.cluster.pods["lr-canary"] = []
            world.cluster.never_ready = {"2"}
            world.canary |= {"2": FAULTS["errs"]} if seen else {}
        elif lost and world.cluster.weights() == {0} and len(lost) == 1:
            lost.append(world.time.now())
            world.cluster.never_ready = set()
            world.canary.pop("2", None)
            world.cluster._roll("lr-canary")

    world.time.meanwhile = lose
    canary(world.site(), POLICY)
    in_order(world)
    assert lost[1] - lost[0] <= 2
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 50, 50]


def test_the_canary_is_changed_only_without_weight(world: World) -> None:
    world.make_champion(2)
    patch = world.cluster._patch

    def watched(key: str, change: object) -> object:
        if key == "inferenceservices/lr-canary":
            assert world.cluster.weights() == {0}
        return patch(key, change)  # type: ignore[arg-type]

    world.cluster._patch = watched  # type: ignore[assignment,method-assign]
    canary(world.site(), POLICY)
    in_order(world)


def test_a_job_told_to_end_takes_the_weight_back_on_its_way(world: World) -> None:
    world.make_champion(2)

    def told_to_end() -> None:
        if world.cluster.weights() == {10}:
            raise EndedError("told to end")

    world.time.meanwhile = told_to_end
    with pytest.raises(EndedError):
        canary(world.site(), POLICY)
    assert world.cluster.weights() == {0}
    assert world.cluster.memory()
    world.time.meanwhile = lambda: None
    canary(world.site(), POLICY)
    in_order(world)
    assert world.champion() == 2


@pytest.mark.parametrize("ends", ["ends_before", "ends_after"])
@pytest.mark.parametrize("sound", [True, False], ids=["a sound version", "one that errs"])
def test_a_job_killed_at_any_write_is_followed_by_one_that_ends_well(sound: bool, ends: str) -> None:
    points = 0
    while True:
        world = World()
        world.make_champion(2)
        if not sound:
            world.canary["2"] = FAULTS["errs"]
        site = world.site()
        setattr(world.life, ends, points + 1)
        try:
            canary(site, POLICY)
        except Killed:
            assert world.cluster.served() <= {"1", "2"}
            assert world.cluster.served("lr-canary") or world.cluster.weights() == {0}
        except RolloutError:
            assert not world.life.over
        ended = not world.life.over
        for _ in range(2):
            with suppress(RolledBackError):
                reconcile(world.site(), POLICY)
        in_order(world)
        assert world.champion() == (2 if sound else 1)
        if ended:
            break
        points += 1
    assert points > 10, "it was killed at each write, one after the other"


def test_a_version_that_failed_is_given_no_weight_again_where_nothing_can_be_put_back(world: World) -> None:
    world.make_champion(2)
    world.registry.withdraw(1, "it is bad too", None)
    world.canary["2"] = FAULTS["errs"]
    for _ in range(3):
        with pytest.raises(RolloutError, match="version 2 is not to be served, and nothing else is: at 10 %"):
            canary(world.site(), POLICY)
    assert [weight for weight, _ in world.cluster.history if weight] == [10]
    assert world.cluster.weights() == {0}


def test_a_step_that_a_job_was_told_to_leave_was_begun(world: World) -> None:
    world.make_champion(2)

    def told() -> None:
        if world.cluster.weights() == {10}:
            raise EndedError("told to end")

    world.time.meanwhile = told
    for _ in range(POLICY.attempts):
        with pytest.raises(EndedError):
            canary(world.site(), POLICY)
    with pytest.raises(RolledBackError, match="step 1 was begun 3 times"):
        canary(world.site(), POLICY)
    in_order(world)


def test_a_weight_that_outlived_its_window_is_taken_back(world: World) -> None:
    world.make_champion(2)

    def die() -> None:
        if world.cluster.weights() == {10}:
            world.life.over = True

    world.time.meanwhile = die
    with pytest.raises(Killed):
        canary(world.site(), POLICY)
    assert world.cluster.weights() == {10}
    world.time.meanwhile = lambda: None
    world.time.seconds += 3600
    reconcile(world.site(), POLICY)
    in_order(world)
    assert any("10 % outlived its window" in event for event in world.cluster.events)


def test_a_weight_that_nobody_owns_is_taken_back(world: World) -> None:
    world.site().routes.weigh(30, None)
    reconcile(world.site(), POLICY)
    in_order(world)
    assert any("30 % is nobody's" in event for event in world.cluster.events)


def test_of_two_at_once_one_goes_on_and_the_other_says_so(world: World) -> None:
    world.make_champion(2)
    other = world.site()
    said: list[str] = []

    def begin_another() -> None:
        if world.cluster.weights() == {10} and not said:
            said.append("")
            world.time.meanwhile = world.cluster.renew
            with pytest.raises(BusyError, match="a canary is under way, by ") as caught:
                canary(other, POLICY)
            said[0] = str(caught.value)
            world.time.meanwhile = lambda: None

    world.time.meanwhile = begin_another
    canary(world.site(), POLICY)
    assert said[0]
    in_order(world)
    assert world.champion() == 2


def test_a_canary_whose_lease_was_taken_writes_nothing_more(world: World) -> None:
    world.make_champion(2)

    def take() -> None:
        if world.cluster.weights() == {10}:
            world.cluster.objects["leases/lr-rollout"]["spec"]["holderIdentity"] = "somebody"
            world.life.writes = 0

    world.time.meanwhile = take
    with pytest.raises(BusyError, match="somebody took over"):
        canary(world.site(), POLICY)
    assert world.life.writes == 0


def test_a_new_champion_meanwhile_begins_anew(world: World) -> None:
    world.make_champion(2)
    site = world.site()
    world.life.ends_after = 6
    with pytest.raises(Killed):
        canary(site, POLICY)
    world.index.pointed["champion"] = 3
    canary(world.site(), POLICY)
    in_order(world)
    assert world.champion() == 3


def test_without_a_policy_the_champion_is_served_at_once(world: World) -> None:
    world.make_champion(2)
    reconcile(world.site(), None)
    in_order(world)
    assert not [weight for weight, _ in world.cluster.history if weight]


def test_a_champion_that_was_served_before_needs_no_canary(world: World) -> None:
    world.make_champion(2)
    canary(world.site(), POLICY)
    world.serve(1)
    world.cluster.history.clear()
    reconcile(world.site(), replace(POLICY, attempts=1))
    in_order(world)
    assert not [weight for weight, _ in world.cluster.history if weight]
