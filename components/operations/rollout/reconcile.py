"""Compares what is served with the registry's champion, and repairs it."""

from components.operations.rollout.canary import watch
from components.operations.rollout.policy import Policy
from components.operations.rollout.promote import serve_or_restore, stop_canary, was_served, withdrawn
from components.operations.rollout.release import Release
from components.operations.rollout.site import Site


def differences(site: Site, release: Release) -> tuple[str, ...]:
    """Return what differs between the champion and what is served."""
    wanted = site.stable.wanted()
    if wanted != release:
        return (f"the InferenceService names {wanted or 'no version'}, and the champion is {release}",)
    return site.stable.pending(release)


def reconcile(site: Site, policy: Policy | None, patience: float = 0.0) -> Release:
    """Serve the registry's champion, and remove canary weight that a dead job left behind.

    A champion that was served before, or that replaces a withdrawn version, is served at once. Any other
    becomes a canary first, if there is a policy and a version to compare it with.

    Args:
        site: what is touched.
        policy: of the canary; None to serve without one.
        patience: how many seconds to wait while another rollout is in progress.

    Returns:
        The champion, which every pod serves.

    Raises:
        BusyError: another rollout is in progress.
        RolloutError: the champion can't be served; the message says what is.
    """
    site.journal.report_gate()
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
    """Remove canary weight. The caller holds the lease, so the job that set the weight is dead."""
    split = site.routes.read()
    if split.weight:
        site.lease.check()
        site.routes.weigh(0, split.progress)
        expired = split.progress is not None and site.clock.now() > split.progress.deadline
        cause = "outlived its window" if expired else "has lost its job"
        if not split.progress:
            cause = "belongs to no rollout"
        site.journal.say("WeightTakenBack", f"{split.weight} % {cause}", warning=True)


def _comparable(site: Site, release: Release) -> bool:
    """Return whether there is a canary InferenceService, and a served version to compare it with."""
    standing = site.stable.standing(other_than=release)
    if standing is None or site.stable.wanted() == release or not site.canary.exists():
        return False
    return not withdrawn(site, standing)
