"""What is served and what the registry calls champion: compared, and repaired."""

from components.operations.rollout.canary import watch
from components.operations.rollout.policy import Policy
from components.operations.rollout.promote import serve_or_restore, stop_canary, was_served, withdrawn
from components.operations.rollout.release import Release
from components.operations.rollout.site import Site


def differences(site: Site, release: Release) -> tuple[str, ...]:
    """What differs between the champion and what the InferenceService says and its pods serve."""
    wanted = site.stable.wanted()
    if wanted != release:
        return (f"the InferenceService names {wanted or 'no version'}, and the champion is {release}",)
    return site.stable.pending(release)


def reconcile(site: Site, policy: Policy | None, patience: float = 0.0) -> Release:
    """Bring what is served to the registry's champion, and take away weights that outlived their job.

    A champion that was served before is put back at once, and so is one that replaces a withdrawn version;
    another is watched as a canary first, where there is a policy and something to compare it with.

    Args:
        site: what is touched.
        policy: of the canary; None to serve without one.
        patience: for how many seconds to stand by while another rollout is under way.

    Returns:
        The champion, which every pod serves.

    Raises:
        BusyError: a rollout is under way.
        RolloutError: it can't be served; the message says what is.
    """
    with site.lease.held("a reconciliation", patience=patience):
        _sweep(site)
        release = site.champion()
        found = differences(site, release)
        if not found:
            stop_canary(site)
            return release
        site.journal.say("Differs", "; ".join(found), warning=True)
        if policy and not was_served(site, release) and _comparable(site, release):
            return watch(site, policy)
        stop_canary(site)
        serve_or_restore(site, release, policy.ready_seconds if policy else Policy().ready_seconds)
        return release


def _sweep(site: Site) -> None:
    """Nobody else holds the lease: a weight that stands has lost its job."""
    split = site.routes.read()
    if split.weight:
        site.lease.check()
        site.routes.weigh(0, split.progress)
        expired = split.progress is not None and site.clock.now() > split.progress.deadline
        told = (
            "outlived its window" if expired else "is nobody's" if not split.progress else "has lost its job"
        )
        site.journal.say("WeightTakenBack", f"{split.weight} % {told}", warning=True)


def _comparable(site: Site, release: Release) -> bool:
    """Whether there is a canary to be had, and beside it a version that is worth being compared with."""
    standing = site.stable.standing(other_than=release)
    if standing is None or site.stable.wanted() == release or not site.canary.exists():
        return False
    return not withdrawn(site, standing)
