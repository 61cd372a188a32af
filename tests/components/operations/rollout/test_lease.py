"""The lease: one job acts, another stands by, and late writes of a job that lost it are undone."""

from typing import Any

import pytest

from components.operations.rollout.canary import MARGIN_SECONDS, canary
from components.operations.rollout.errors import BusyError, RolloutError
from components.operations.rollout.lease import SECONDS
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.promote import promote, rollback
from components.operations.rollout.reconcile import reconcile
from components.operations.rollout.routes import Progress
from tests.components.operations.rollout.conftest import Killed, World

POLICY = Policy(steps=(Step(10, 8), Step(50, 8)), requests=50, ready_seconds=60)


def test_a_standby_job_waits_while_the_holder_renews_and_then_names_it(world: World) -> None:
    world.cluster.objects["leases/lr-rollout"]["spec"]["holderIdentity"] = "another"
    world.clock.on_sleep = world.cluster.renew
    begun = world.clock.now()
    with pytest.raises(BusyError, match="a rollout is in progress, by another"):
        reconcile(world.site(), POLICY, patience=40)
    assert world.clock.now() - begun >= 40


def test_a_standby_job_runs_when_the_holder_releases_the_lease(world: World) -> None:
    world.make_champion(2)
    spec = world.cluster.objects["leases/lr-rollout"]["spec"]
    spec["holderIdentity"] = "another"
    begun = world.clock.now()

    def renew_for_a_while() -> None:
        world.cluster.renew()
        if world.clock.now() > begun + 20:
            spec["holderIdentity"] = None
            world.clock.on_sleep = lambda: None

    world.clock.on_sleep = renew_for_a_while
    reconcile(world.site(), POLICY, patience=40)
    assert world.cluster.served() == {"2"}


def test_a_standby_job_removes_the_canary_weight_after_the_holder_dies(world: World) -> None:
    world.make_champion(2)

    def die() -> None:
        if world.cluster.weights() == {50}:
            world.process.dead = True

    world.clock.on_sleep = die
    with pytest.raises(Killed):
        canary(world.site(), POLICY)
    died, changed = world.clock.now(), []
    patch = world.cluster._patch

    def watched(key: str, change: Any) -> Any:
        if key.endswith("routes/lr"):
            changed.append(world.clock.now())
        return patch(key, change)

    world.cluster._patch = watched  # type: ignore[method-assign]
    world.clock.on_sleep = lambda: None
    reconcile(world.site(), POLICY, patience=50)
    assert changed[1] - died <= SECONDS + 2 < MARGIN_SECONDS, "the HTTPRoute changes last"
    assert [weight for weight, _ in world.cluster.history[-5:]] == [50, 0, 50, 0, 0]
    assert world.champion() == 2
    assert world.cluster.served() == {"2"}


def test_removes_a_weight_written_by_a_job_that_lost_its_lease(world: World) -> None:
    world.make_champion(2)
    slow = world.site()

    def write_late() -> None:
        slow.routes.weigh(50, Progress(slow.champion()))
        world.clock.on_sleep = lambda: None

    world.cluster.never_ready = set()
    promote(world.site(), 60)
    site = world.site()
    say = site.journal.say

    def overtaken(reason: str, message: str, *, warning: bool = False) -> None:
        say(reason, message, warning=warning)
        if reason == "RollingBack":
            write_late()

    site.journal.say = overtaken  # type: ignore[method-assign]
    rollback(site, 1, "now", 60)
    assert world.cluster.weights() == {0}
    assert not world.cluster.progress()


def test_overwrites_a_version_written_by_a_job_that_lost_its_lease(world: World) -> None:
    world.make_champion(2)
    bad = world.site().champion()
    site = world.site()
    pending, late = site.stable.pending, [bad]

    def overtaken(release: object) -> tuple[str, ...]:
        if late:
            site.stable.serve(late.pop())
        return pending(release)  # type: ignore[arg-type]

    object.__setattr__(site.stable, "pending", overtaken)
    rollback(site, 1, "now", 60)
    assert (world.champion(), world.cluster.served()) == (1, {"1"})


def test_a_withdrawn_version_is_not_restored_when_the_other_does_not_become_ready(world: World) -> None:
    world.make_champion(2)
    promote(world.site(), 60)
    world.cluster.never_ready = {"1"}
    with pytest.raises(RolloutError, match=r"version 1 did not become ready: .* The old pods go on serving"):
        rollback(world.site(), 1, "2 is bad", 60)
    for _ in range(2):
        with pytest.raises(RolloutError, match="no earlier release can be restored"):
            reconcile(world.site(), POLICY)
    assert (world.champion(), world.cluster.served()) == (1, {"2"})
    world.cluster.never_ready = set()
    world.cluster._roll("lr")
    reconcile(world.site(), POLICY)
    assert (world.champion(), world.cluster.served()) == (1, {"1"})
