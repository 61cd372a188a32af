"""A canary through its steps: versions that pass or fail, and jobs that are killed."""

import copy
from contextlib import suppress
from dataclasses import replace

import pytest

from components.operations.rollout.canary import RolledBackError, UnjudgedError, canary
from components.operations.rollout.errors import BusyError, EndedError, RolloutError
from components.operations.rollout.judge import Answer
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.reconcile import reconcile
from tests.components.operations.rollout.conftest import Killed, World

POLICY = Policy(steps=(Step(10, 20), Step(50, 20)), requests=50, ready_seconds=60)
FAULTS = {
    "fails requests": Answer(500),
    "refuses requests": Answer(400),
    "predicts nothing": Answer(200),
    "predicts other values": Answer(200, 2.0),
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
    world.answers["2"] = FAULTS[fault]
    with pytest.raises(RolledBackError, match="version 2 is rolled back to version 1: at 10 %"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 1
    assert "at 10 %" in world.index.version(2).withdrawn
    assert world.outcome(2) == "rolled back"
    assert any(event.startswith("RolledBack: version 2") for event in world.cluster.events)


def test_a_slow_version_is_rolled_back_when_its_window_is_over(world: World) -> None:
    world.make_champion(2)
    world.milliseconds["2"] = 40.0
    with pytest.raises(RolledBackError, match=r"the mean latency is 40.00 ms against 20.00 ms"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 1


def check_not_judged(world: World) -> None:
    """Check that the stable version serves all, and that the champion was not withdrawn."""
    assert world.cluster.weights() == {0}
    assert not world.cluster.progress()
    assert world.cluster.served() == {"1"}
    assert world.champion() == 2
    assert not world.index.version(2).withdrawn
    assert world.outcome(2) == "not judged"


def test_a_version_whose_pods_do_not_come_is_not_withdrawn(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    with pytest.raises(UnjudgedError, match="its pods did not come"):
        canary(world.site(), POLICY)
    assert world.cluster.weights() == {0}
    assert world.champion() == 2
    assert not world.index.version(2).withdrawn
    assert max(weight for weight, _ in world.cluster.history) == 0


def test_a_version_whose_pods_run_and_never_become_ready_is_rolled_back(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    world.pings = True
    with pytest.raises(RolledBackError, match="its pods do not serve it: lr-canary-2-0 runs, and is not"):
        canary(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 1


def test_pods_of_both_versions_that_never_become_ready_withdraw_neither(world: World) -> None:
    """A new image that is broken replaces the pods of the stable version as well."""
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    world.pings = True
    starting = copy.deepcopy(world.cluster.pods["lr"][0])
    starting["status"]["conditions"][0]["status"] = "False"
    world.cluster.pods["lr"].append(starting)
    with pytest.raises(UnjudgedError, match="its pods did not come"):
        canary(world.site(), POLICY)
    assert world.champion() == 2
    assert not world.index.version(2).withdrawn


@pytest.mark.parametrize("missing", ["probes", "counts", "both versions fail", "no answer"])
def test_missing_data_repeats_the_step_and_never_passes(missing: str, world: World) -> None:
    world.make_champion(2)
    if missing == "probes":
        world.rate = 1.0
    elif missing == "counts":
        world.counts_requests = False
    else:
        failure = Answer(503) if missing == "both versions fail" else Answer(0)
        world.answers |= {"1": failure, "2": failure} if failure.status else {"2": failure}
    with pytest.raises(UnjudgedError, match="step 1 was started 3 times"):
        canary(world.site(), POLICY)
    check_not_judged(world)
    assert [weight for weight, _ in world.cluster.history if weight] == [10, 10, 10]


def test_a_version_that_was_not_judged_is_tried_again_by_the_next_run(world: World) -> None:
    world.make_champion(2)
    world.counts_requests = False
    with pytest.raises(UnjudgedError):
        reconcile(world.site(), POLICY)
    world.counts_requests = True
    reconcile(world.site(), POLICY)
    check_settled(world)
    assert world.champion() == 2


def test_a_version_without_recorded_probes_gets_no_requests_unless_the_policy_accepts_it(
    world: World,
) -> None:
    world.make_champion(2)
    world.index._tag(2, "probes", "")
    with pytest.raises(UnjudgedError, match="no probes were recorded for it"):
        canary(world.site(), POLICY)
    check_not_judged(world)
    assert not [weight for weight, _ in world.cluster.history if weight]
    world.answers["2"] = Answer(200, 1e6)
    canary(world.site(), replace(POLICY, unrecorded="accept"))
    check_settled(world)
    assert world.champion() == 2


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
            world.answers |= {"2": Answer(0)} if probes_fail else {}
        elif lost and world.cluster.weights() == {0} and len(lost) == 1:
            lost.append(world.clock.now())
            world.cluster.never_ready = set()
            world.answers.pop("2", None)
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
            raise EndedError("stopped by a signal")

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
    policy = replace(POLICY, steps=(Step(10, 10), Step(50, 10)))
    points = 0
    while True:
        world = World()
        world.make_champion(2)
        if not sound:
            world.answers["2"] = FAULTS["fails requests"]
        site = world.site()
        setattr(world.process, dies, points + 1)
        try:
            canary(site, policy)
        except Killed:
            assert world.cluster.served() <= {"1", "2"}
            assert world.cluster.served("lr-canary") or world.cluster.weights() == {0}
        except RolloutError:
            assert not world.process.dead
        ended = not world.process.dead
        for _ in range(2):
            with suppress(RolledBackError):
                reconcile(world.site(), policy)
        check_settled(world)
        assert world.champion() == (2 if sound else 1)
        if ended:
            break
        points += 1
    assert points > 10


def test_a_failed_version_gets_no_weight_again_when_no_version_can_be_restored(world: World) -> None:
    world.make_champion(2)
    world.registry.withdraw(1, "it is bad too", None)
    world.answers["2"] = FAULTS["fails requests"]
    for _ in range(3):
        with pytest.raises(
            RolloutError, match="version 2 is faulty, and no other version is served: at 10 %"
        ):
            canary(world.site(), POLICY)
    assert [weight for weight, _ in world.cluster.history if weight] == [10]
    assert world.cluster.weights() == {0}


def test_a_step_interrupted_by_termination_counts_as_an_attempt(world: World) -> None:
    world.make_champion(2)

    def terminate() -> None:
        if world.cluster.weights() == {10}:
            raise EndedError("stopped by a signal")

    world.clock.on_sleep = terminate
    for _ in range(POLICY.attempts):
        with pytest.raises(EndedError):
            canary(world.site(), POLICY)
    with pytest.raises(UnjudgedError, match="step 1 was started 3 times"):
        canary(world.site(), POLICY)
    check_not_judged(world)


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
    assert any("30 % belongs to no rollout" in event for event in world.cluster.events)


def test_a_second_canary_at_the_same_time_is_refused(world: World) -> None:
    world.make_champion(2)
    other = world.site()
    said: list[str] = []

    def begin_another() -> None:
        if world.cluster.weights() == {10} and not said:
            said.append("")
            world.clock.on_sleep = world.cluster.renew
            with pytest.raises(BusyError, match="a canary is in progress, by ") as caught:
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
