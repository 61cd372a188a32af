"""A new version is given requests step by step, and watched; what stands on the routes is all its memory.

No controller: a job does it, and one that was killed is followed by another, which finds how far it was.
Whatever ends a step, its weight is taken back first.
"""

from collections.abc import Sequence

from components.operations.rollout.errors import BusyError, RolloutError
from components.operations.rollout.judge import Outcome, Verdict, judge, summarise
from components.operations.rollout.lease import SECONDS
from components.operations.rollout.pods import Pod
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.promote import before_this, bring, give_up, serve_or_restore, stop_canary
from components.operations.rollout.release import Release
from components.operations.rollout.routes import Progress
from components.operations.rollout.site import Site

POLL_SECONDS = 0.5
# A weight may outlive its window by what another needs to find that this job is gone, and to write.
MARGIN_SECONDS = SECONDS + 5.0


class RolledBackError(RolloutError):
    """The canary did not prove itself; the stable version serves all."""


def canary(site: Site, policy: Policy) -> Release:
    """Have the registry's champion served by every pod, if it proves itself at each step before.

    Args:
        site: what is touched.
        policy: the steps, and what it has to show.

    Returns:
        The champion.

    Raises:
        BusyError: another rollout is under way, or took over.
        RolloutError: it was rolled back; the message says why.
    """
    with site.lease.held("a canary"):
        return watch(site, policy)


def watch(site: Site, policy: Policy) -> Release:
    """Do it, or go on with it, under a lease that is held."""
    release = site.champion()
    if site.stable.wanted() == release and not site.stable.pending(release):
        stop_canary(site)
        return release
    progress = _resume(site, release)
    if progress.failed:
        _fail(site, progress, progress.failed)
    while progress.step < len(policy.steps):
        if progress.attempts >= policy.attempts:
            _fail(site, progress, f"step {progress.step + 1} was begun {progress.attempts} times")
        try:
            progress = _step(site, policy, progress)
        except (BusyError, RolledBackError):
            raise
        except BaseException:
            # Also when this job is told to end: its successor goes on from what the routes remember.
            site.lease.check()
            site.routes.weigh(0, site.routes.read().progress)
            raise
    site.lease.check()
    site.routes.weigh(0, progress)
    try:
        serve_or_restore(site, release, policy.ready_seconds)
    finally:
        site.lease.check()
        site.routes.weigh(0, None)
    return release


def _resume(site: Site, release: Release) -> Progress:
    """Take back what a killed job left, and find where it was."""
    split = site.routes.read()
    stands = split.progress if split.progress and split.progress.release == release else Progress(release)
    site.lease.check()
    site.routes.weigh(0, stands)
    if stands.attempts:
        site.journal.say("CanaryResumed", f"{release} at step {stands.step + 1}")
    return stands


def _step(site: Site, policy: Policy, progress: Progress) -> Progress:
    """One window; returns the progress to go on with, which after a failed attempt is the same step."""
    step, release = policy.steps[progress.step], progress.release
    begun = progress.but(attempts=progress.attempts + 1)
    _prepare(site, policy, begun)
    ranges = site.stable.report(_first(site)).features
    site.lease.check()
    deadline = site.clock.now() + step.seconds + MARGIN_SECONDS
    site.routes.weigh(step.weight, begun.but(deadline=deadline))
    site.journal.say("CanaryStep", f"{release} has {step.weight} % for {step.seconds:g} s")
    verdict = _observe(site, policy, step, ranges)
    why = "; ".join(verdict.reasons)
    if verdict.outcome is Outcome.ROLL_BACK:
        _fail(site, begun, f"at {step.weight} %: {why}")
    if verdict.outcome is Outcome.AGAIN:
        site.lease.check()
        site.routes.weigh(0, begun)
        site.journal.say("CanaryInterrupted", f"{release} at {step.weight} %: {why}", warning=True)
        return begun
    site.journal.say("CanaryPassed", f"{release} at {step.weight} %: {why}")
    return Progress(release, progress.step + 1)


def _prepare(site: Site, policy: Policy, progress: Progress) -> None:
    """See to it that the canary's pods are ready and say that they serve the release, before any weight."""
    release = progress.release
    if site.canary.wanted() == release and not site.canary.pending(release):
        return
    site.lease.check()
    site.routes.weigh(0, progress)
    if why := bring(site, site.canary, release, policy.ready_seconds, "CanaryStarted"):
        _fail(site, progress, f"its pods did not come: {why}")


def _observe(site: Site, policy: Policy, step: Step, ranges: Sequence[tuple[float, float]]) -> Verdict:
    end = site.clock.now() + step.seconds
    verdict = Verdict(Outcome.WAIT, ())
    with site.prober.running(ranges) as probes:
        # They are looked at before a verdict counts: what fails as pods go says nothing of the version.
        while pods := site.canary.serving():
            if verdict.outcome is not Outcome.WAIT:
                return verdict
            probes.aim(site.stable.serving(), pods)
            site.clock.sleep(POLL_SECONDS)
            site.lease.check()
            window = summarise(probes.seen(), policy.quantile)
            verdict = judge(policy, window, over=site.clock.now() >= end)
    return Verdict(Outcome.AGAIN, ("it lost all its pods",))


def _first(site: Site) -> Pod:
    serving = site.stable.serving()
    if not serving:
        raise RolloutError("no pod of the stable version serves: there is nothing to compare with")
    return serving[0]


def _fail(site: Site, progress: Progress, reason: str) -> None:
    """Roll back: the weight first, then the registry; the memory goes last."""
    site.lease.check()
    site.routes.weigh(0, progress.but(failed=reason))
    fallback = before_this(site, progress.release)
    if fallback is None:
        raise RolloutError(f"{progress.release} is not to be served, and nothing else is: {reason}")
    told = give_up(site, progress.release, fallback, reason)
    site.lease.check()
    site.routes.weigh(0, None)
    raise RolledBackError(told)
