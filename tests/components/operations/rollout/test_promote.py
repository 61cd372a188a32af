"""Promotion, rollback and reconciliation without a canary."""

import pytest

from components.operations.rollout.errors import BusyError, RefusedError, RolloutError
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.promote import promote, rollback
from components.operations.rollout.reconcile import differences, reconcile
from components.operations.rollout.release import Release
from components.registry.decision import Decision
from tests.components.operations.rollout.conftest import Killed, World

SECONDS = 60.0
POLICY = Policy(steps=(Step(10, 5),), requests=20)


def test_promotes_the_champion_with_one_patch(world: World) -> None:
    world.make_champion(2)
    world.process.writes = 0
    promote(world.site(), SECONDS)
    service = world.cluster.objects["inferenceservices/lr"]
    assert service["metadata"]["annotations"] == {
        "linear-regressor/model-version": "2",
        "linear-regressor/model-digest": "digest-2",
    }
    assert service["spec"]["predictor"]["model"] == {"storageUri": "s3://bucket/models/lr/2/"}
    assert world.cluster.served() == {"2"}


def test_does_not_patch_what_is_already_served(world: World) -> None:
    service = world.cluster.objects["inferenceservices/lr"]["metadata"]["resourceVersion"]
    promote(world.site(), SECONDS)
    assert world.cluster.objects["inferenceservices/lr"]["metadata"]["resourceVersion"] == service


def test_a_version_whose_pods_do_not_come_is_replaced_and_not_withdrawn(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolloutError, match=r"version 2 did not .* the next run tries again; version 1 "):
        promote(world.site(), SECONDS)
    assert world.cluster.served() == {"1"}
    assert world.cluster.objects["inferenceservices/lr"]["spec"]["predictor"]["model"] == {
        "storageUri": "s3://bucket/models/lr/1/"
    }
    assert (world.champion(), world.outcome(2)) == (2, "not served")
    assert not world.index.version(2).withdrawn
    world.cluster.never_ready = set()
    reconcile(world.site(), POLICY)
    assert (world.cluster.served(), world.outcome(2)) == ({"2"}, "served")


def test_a_version_whose_pods_run_and_never_become_ready_is_withdrawn(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"2"}
    world.pings = True
    with pytest.raises(RolloutError, match="version 2 is rolled back to version 1: its pods do not serve it"):
        promote(world.site(), SECONDS)
    assert (world.champion(), world.cluster.served()) == (1, {"1"})
    assert "lr-2-0 runs, and is not ready" in world.index.version(2).withdrawn


def test_a_fault_of_both_versions_withdraws_neither(world: World) -> None:
    world.make_champion(2)
    world.cluster.never_ready = {"1", "2"}
    world.cluster.pods["lr"][1]["metadata"]["annotations"]["linear-regressor/model-version"] = "3"
    world.pings = True
    with pytest.raises(RolloutError, match="is not ready again either: "):
        promote(world.site(), SECONDS)
    assert world.champion() == 2
    assert not world.index.version(2).withdrawn


def test_a_champion_that_was_served_stays_so_when_the_cluster_has_no_room(world: World) -> None:
    world.make_champion(2)
    promote(world.site(), SECONDS)
    world.serve(1)
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolloutError, match="version 2 did not become ready"):
        reconcile(world.site(), POLICY)
    assert world.outcome(2) == "served"


def test_a_restored_version_has_the_digest_of_the_registry(world: World) -> None:
    world.make_champion(2)
    for pod in world.cluster.pods["lr"]:
        pod["metadata"]["annotations"]["linear-regressor/model-digest"] = "an earlier version's"
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolloutError, match="version 2 did not become ready"):
        promote(world.site(), SECONDS)
    marks = world.cluster.objects["inferenceservices/lr"]["metadata"]["annotations"]
    assert marks["linear-regressor/model-digest"] == "digest-1"


def test_withdraws_nothing_when_no_version_was_served_before(world: World) -> None:
    world.make_champion(2)
    world.cluster.pods["lr"] = []
    world.cluster.objects["inferenceservices/lr"]["spec"]["predictor"]["model"] = {}
    world.cluster.never_ready = {"2"}
    with pytest.raises(RolloutError, match="no earlier release can be restored"):
        promote(world.site(), SECONDS)
    assert world.champion() == 2
    assert not world.index.version(2).withdrawn


def test_pods_with_another_digest_are_pending(world: World) -> None:
    site = world.site()
    changed = Release("1", "another", "s3://bucket/models/lr/1/")
    assert "with the digest digest-1" in site.stable.pending(changed)[0]
    assert not site.stable.pending(site.champion())


@pytest.mark.parametrize("field", ["updatedReplicas", "availableReplicas", "replicas"])
def test_is_pending_while_replica_counts_differ(field: str, world: World) -> None:
    world.cluster.objects["deployments/lr-predictor"]["status"][field] = 1
    assert f"{field} 1" in world.site().stable.pending(world.site().champion())[0]


def test_is_pending_while_the_deployment_is_not_observed(world: World) -> None:
    world.cluster.objects["deployments/lr-predictor"]["metadata"]["generation"] = 2
    assert world.site().stable.pending(world.site().champion()) == (
        "the Deployment's controller has not observed its change yet",
    )


def test_a_rollback_restores_the_previous_champion(world: World) -> None:
    world.make_champion(2)
    promote(world.site(), SECONDS)
    release = rollback(world.site(), None, "customers complain", SECONDS)
    assert release.version == "1"
    assert world.cluster.served() == {"1"}
    assert world.champion() == 1
    assert world.index.version(2).withdrawn == "customers complain"


def test_a_rollback_restores_any_version(world: World) -> None:
    for number in (2, 3):
        world.make_champion(number)
        promote(world.site(), SECONDS)
    rollback(world.site(), 1, "both were bad", SECONDS)
    assert (world.champion(), world.cluster.served()) == (1, {"1"})
    rollback(world.site(), 3, "it was not", SECONDS)
    assert (world.champion(), world.cluster.served()) == (3, {"3"})
    assert not world.index.version(3).withdrawn


def test_no_later_run_undoes_a_rollback(world: World) -> None:
    world.make_champion(2)
    promote(world.site(), SECONDS)
    rollback(world.site(), None, "it was bad", SECONDS)
    decided = world.registry._promote_if_better(
        world.index.version(2), "scheduled", lambda champion: Decision(promote=True, reasons=("better",))
    )
    assert not decided.promote
    assert "withdrawn" in decided.reasons[-1]
    reconcile(world.site(), POLICY)
    assert (world.champion(), world.cluster.served()) == (1, {"1"})


def test_refuses_to_roll_back_to_a_missing_version(world: World) -> None:
    with pytest.raises(RolloutError, match="the registry has no version 99"):
        rollback(world.site(), 99, "", SECONDS)
    with pytest.raises(RolloutError, match="name a version with --to"):
        rollback(world.site(), None, "", SECONDS)


@pytest.mark.parametrize("dies", ["dies_before", "dies_after"])
def test_the_next_run_finishes_a_rollback_killed_at_any_write(dies: str) -> None:
    points = 0
    while True:
        world = World()
        world.make_champion(2)
        promote(world.site(), SECONDS)
        site = world.site()
        setattr(world.process, dies, points + 1)
        try:
            rollback(site, None, "it was bad", SECONDS)
        except Killed:
            assert world.cluster.served() <= {"1", "2"}
        ended = not world.process.dead
        reconcile(world.site(), POLICY)
        assert not [weight for weight, _ in world.cluster.history if weight]
        assert world.cluster.served() == {str(world.champion())}
        assert not world.index.version(world.champion()).withdrawn
        rollback(world.site(), 1, "it was bad", SECONDS)
        assert (world.champion(), world.cluster.served()) == (1, {"1"})
        if ended:
            break
        points += 1
    assert points > 4


def test_a_rollback_takes_the_lease_from_its_holder(world: World) -> None:
    world.make_champion(2)
    first = world.site()
    with first.lease.held("a canary"):
        rollback(world.site(), 1, "now", SECONDS)
        with pytest.raises(BusyError, match="took over"):
            first.lease.check()
    assert world.champion() == 1


def test_the_lease_names_the_owner(world: World) -> None:
    lease = world.cluster.objects["leases/lr-rollout"]
    for owner in ("job", "git"):
        lease["metadata"]["annotations"]["linear-regressor/owner"] = owner
        assert world.site().lease.owner() == owner
    lease["metadata"]["annotations"] = {}
    with pytest.raises(RolloutError, match="neither 'job' nor 'git'"):
        world.site().lease.owner()


def test_refuses_where_rollouts_are_not_installed(world: World) -> None:
    del world.cluster.objects["leases/lr-rollout"]
    with pytest.raises(RefusedError, match="rollouts are not installed here"):
        promote(world.site(), SECONDS)


def test_refuses_a_lease_taken_by_another_at_the_same_moment(world: World) -> None:
    world.cluster.objects["leases/lr-rollout"]["metadata"]["resourceVersion"] = "7"
    lease = world.site().lease
    get = lease._get

    def slowly() -> dict[str, object]:
        seen = get()
        world.cluster.renew()
        return seen

    lease._get = slowly  # type: ignore[method-assign]
    with pytest.raises(BusyError, match="at the same moment"), lease.held("a promotion"):
        pass


def test_reports_what_differs_from_the_champion(world: World) -> None:
    world.make_champion(2)
    site = world.site()
    assert differences(site, site.champion()) == (
        "the InferenceService names version 1, and the champion is version 2",
    )


def test_refuses_a_withdrawn_champion_without_a_successor(world: World) -> None:
    world.registry.withdraw(1, "it is bad", None)
    with pytest.raises(RolloutError, match="the champion, version 1, was withdrawn: it is bad"):
        promote(world.site(), SECONDS)
