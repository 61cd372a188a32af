"""Serves the registry's champion, or an earlier version, on every pod."""

from components.operations.rollout.errors import RolloutError
from components.operations.rollout.journal import NOT_SERVED, SERVED
from components.operations.rollout.predictor import Predictor
from components.operations.rollout.release import Release
from components.operations.rollout.site import Site
from components.registry.registry import Registry

POLL_SECONDS = 0.5
# A store that fails for a moment restarts an init container once or twice.
HOPELESS_SECONDS = 30.0


def promote(site: Site, seconds: float) -> Release:
    """Serve the registry's champion on every pod, without a canary.

    If its pods do not become ready, the previous version is restored. Only its own fault withdraws it.

    Args:
        site: what is touched.
        seconds: how long the pods may take.

    Returns:
        The champion.

    Raises:
        BusyError: another rollout is in progress.
        RolloutError: its pods did not come; the message says why, and what is served now.
    """
    with site.lease.held("a promotion"):
        release = site.champion()
        stop_canary(site)
        serve_or_restore(site, release, seconds)
        return release


def rollback(site: Site, version: int | None, reason: str, seconds: float) -> Release:
    """Serve an earlier version, even while another rollout is in progress. No later run undoes it.

    The registry changes first, because a reconciliation serves what the registry calls champion.

    Args:
        site: what is touched.
        version: its number; None for the champion before this one.
        reason: why, for the registry.
        seconds: how long the pods may take.

    Returns:
        The release that is served. No pod of another version is left.

    Raises:
        RolloutError: there is no such version, or its pods don't come; the old pods then go on serving.
    """
    with site.lease.held("a rollback", force=True):
        target = earlier(site.registry, version)
        stop_canary(site)
        site.registry.restore(target, reason)
        release = site.release(site.registry.version(target))
        site.journal.say("RollingBack", f"to {release}: {reason}", warning=True)
        if why := bring(site, site.stable, release, seconds, "PuttingBack"):
            raise RolloutError(f"{release} did not become ready: {why}. The old pods go on serving")
        # A job that lost the lease between its check and its write has written by now.
        stop_canary(site)
        _await_alone(site, release, seconds)
        site.journal.record(release.version, SERVED, reason)
        site.journal.say("RolledBack", f"every pod serves {release}: {reason}")
        return release


def serve_or_restore(site: Site, release: Release, seconds: float) -> None:
    """Have every stable pod serve a release; if they do not become ready, restore the previous one.

    The release is withdrawn only if its pods are at fault while those of the release before serve. Otherwise
    the cluster is the cause, or both releases are, and the next run tries again.

    Raises:
        RolloutError: the pods did not come.
    """
    stable = site.stable
    before = stable.wanted()
    if before == release and not stable.pending(release):
        site.journal.record(release.version, SERVED)
        return
    fallback = before_this(site, release)
    why = bring(site, stable, release, seconds, "Promoting")
    if not why:
        site.journal.record(release.version, SERVED)
        site.journal.say("Promoted", f"every pod serves {release}")
        return
    if fallback is None:
        raise RolloutError(f"{release} did not become ready, and no earlier release can be restored: {why}")
    fault = stable.fault(release)
    problem = bring(site, stable, fallback, seconds, "PuttingBack")
    if fault and not problem:
        raise RolloutError(give_up(site, release, fallback, f"its pods do not serve it: {fault}"))
    message = f"{release} did not become ready: {why}. It stays the champion, and the next run tries again"
    message += f"; {fallback} is not ready again either: {problem}" if problem else f"; {fallback} is served"
    if not was_served(site, release):
        site.journal.record(release.version, NOT_SERVED, why)
    site.journal.say("NotPromoted", message, warning=True)
    raise RolloutError(message)


def was_served(site: Site, release: Release) -> bool:
    """Return whether the registry says that every pod once served a release."""
    return f'"outcome": "{SERVED}"' in site.registry.version(int(release.version)).tags.get("rollout", "")


def before_this(site: Site, release: Release) -> Release | None:
    """Return the release that served before this one, from the pods if possible, else the InferenceService.

    None if there was none, or if it was withdrawn.
    """
    wanted = site.stable.wanted()
    before = site.stable.standing(other_than=release) or (wanted if wanted != release else None)
    known = site.registered(before) if before else None
    if known is None:
        return before
    if known.withdrawn:
        return None
    # The annotated digest may be an earlier version's, as a version set by hand needs none.
    registered = site.release(known)
    return registered if registered == before else before


def withdrawn(site: Site, release: Release) -> bool:
    """Return whether the registry has withdrawn a release."""
    known = site.registered(release)
    return known is not None and bool(known.withdrawn)


def give_up(site: Site, release: Release, fallback: Release, reason: str) -> str:
    """Withdraw a release in the registry in favour of another; returns the message."""
    successor = site.registered(fallback)
    site.lease.check()
    site.registry.withdraw(int(release.version), reason, successor.number if successor else None)
    site.journal.record(release.version, "rolled back", reason)
    message = f"{release} is rolled back to {fallback}: {reason}"
    site.journal.say("RolledBack", message, warning=True)
    return message


def bring(site: Site, predictor: Predictor, release: Release, seconds: float, what: str) -> str:
    """Have a predictor serve a release, and wait until every pod does.

    The release is set again if it changes meanwhile: a job that lost the lease between its check and its
    write may still have written.

    Args:
        site: what is touched.
        predictor: the stable one, or the canary.
        release: the release.
        seconds: how long the pods may take.
        what: the reason of the Event, in one word.

    Returns:
        Why its pods do not serve it; empty if they do.
    """
    end = site.clock.now() + seconds
    hopeless_since: float | None = None
    while missing := _lacking(site, predictor, release, what):
        trouble = predictor.trouble(release)
        hopeless_since = None if not trouble else hopeless_since or site.clock.now()
        hopeless = hopeless_since is not None and site.clock.now() - hopeless_since >= HOPELESS_SECONDS
        if hopeless or site.clock.now() >= end:
            return trouble or "; ".join(missing)
        site.clock.sleep(POLL_SECONDS)
    return ""


def _lacking(site: Site, predictor: Predictor, release: Release, what: str) -> tuple[str, ...]:
    if predictor.wanted() != release:
        site.lease.check()
        predictor.serve(release)
        site.journal.say(what, f"{release} from {release.uri}")
    return predictor.pending(release)


def stop_canary(site: Site) -> None:
    """Remove the canary's weight and progress, whichever job set them."""
    split = site.routes.read()
    if split.weight or split.progress:
        site.lease.check()
        site.routes.weigh(0, None)


def earlier(registry: Registry, version: int | None) -> int:
    """Return the version to roll back to: the given one, or the champion before this one.

    Raises:
        RolloutError: there is no such version.
    """
    if version is not None:
        if not registry.has(version):
            raise RolloutError(f"the registry has no version {version}")
        return version
    champion = registry.champion()
    before = champion.tags.get("previous_champion") if champion else None
    if before is None:
        raise RolloutError("there was no champion before this one; name a version with --to")
    return int(before)


def _await_alone(site: Site, release: Release, seconds: float) -> None:
    """Wait until no pod of another version is left; such a pod answers requests until its end."""
    end = site.clock.now() + seconds
    while others := [pod.name for pod in site.stable.pods() if pod.made_for.version != release.version]:
        if site.clock.now() >= end:
            raise RolloutError(f"{release} is served, but pods of another version still run: {others}")
        site.clock.sleep(POLL_SECONDS)
