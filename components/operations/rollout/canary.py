"""A new version is given requests step by step, and watched; what stands on the routes is all its memory.

No controller: a job does it, and one that was killed is followed by another, which finds how far it was.
Whatever ends a step, its weight is taken back first.
"""

import math
from collections.abc import Sequence
from typing import NoReturn

from components.data.probes import Probes, Value
from components.operations.rollout.counters import Counters
from components.operations.rollout.errors import BusyError, RolloutError
from components.operations.rollout.evidence import Counts
from components.operations.rollout.judge import Exchange, Outcome, Verdict, judge, summarise
from components.operations.rollout.lease import SECONDS
from components.operations.rollout.pods import Pod
from components.operations.rollout.policy import Policy, Step
from components.operations.rollout.predictor import Predictor
from components.operations.rollout.promote import before_this, bring, give_up, serve_or_restore, stop_canary
from components.operations.rollout.release import Release
from components.operations.rollout.routes import Progress
from components.operations.rollout.site import Site

POLL_SECONDS = 0.5
# Rows for a version without recorded probes.
EXAMPLES = 4
# The name of the probes' counts, among the names of pods.
PROBES = "(probes)"
# A weight may outlive its window by what another needs to find that this job is gone, and to write.
MARGIN_SECONDS = SECONDS + 5.0


class RolledBackError(RolloutError):
    """The canary was found at fault and is withdrawn; the stable version serves all."""


class UnjudgedError(RolloutError):
    """The canary could not be judged; the stable version serves all, and the next run tries again."""


def canary(site: Site, policy: Policy) -> Release:
    """Have the registry's champion served by every pod, if it proves itself at each step before.

    Args:
        site: what is touched.
        policy: the steps, and what it has to show.

    Returns:
        The champion.

    Raises:
        BusyError: another rollout is under way, or took over.
        RolledBackError: it was found at fault, and is withdrawn.
        RolloutError: it could not be judged, for a reason that is not its own; it is not withdrawn.
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
            _end(site, progress, f"step {progress.step + 1} was begun {progress.attempts} times")
        try:
            progress = _step(site, policy, progress)
        except (BusyError, RolledBackError, UnjudgedError):
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
    probes = _probes(site, policy, begun)
    rows = _stable_rows(site)
    site.lease.check()
    deadline = site.clock.now() + step.seconds + MARGIN_SECONDS
    site.routes.weigh(step.weight, begun.but(deadline=deadline))
    site.journal.say("CanaryStep", f"{release} has {step.weight} % for {step.seconds:g} s")
    verdict = _observe(site, policy, step, probes, rows)
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
        stable = site.stable.wanted()
        # What the pods of both versions have, such as a broken image, is the fault of neither.
        if (fault := site.canary.fault(release)) and not (stable and site.stable.fault(stable)):
            _fail(site, progress, f"its pods do not serve it: {fault}")
        _end(site, progress, f"its pods did not come: {why}")


def _probes(site: Site, policy: Policy, progress: Progress) -> Probes:
    """The probes recorded for the release; by policy, examples from its pods for one that has none."""
    recorded = site.probes(progress.release)
    if recorded is not None:
        return recorded
    if policy.unrecorded == "refuse":
        _end(
            site,
            progress,
            "no probes were recorded for it, so its answers can't be checked; the policy unrecorded=accept "
            "does without, and promote serves it without a canary",
        )
    rows = _examples(site.canary)
    # Any finite answer is within an infinite tolerance.
    return Probes(rows, (0.0,) * len(rows), deviation=1.0, tolerance=math.inf)


def _stable_rows(site: Site) -> Sequence[Sequence[Value]]:
    """Rows that the stable version can answer. Its model may have other inputs than the canary's."""
    standing = site.stable.wanted()
    recorded = site.probes(standing) if standing else None
    return recorded.rows if recorded else _examples(site.stable)


def _examples(predictor: Predictor) -> tuple[tuple[Value, ...], ...]:
    """Rows of the inputs' example values, as a pod tells them."""
    inputs = predictor.report(_first(predictor)).examples
    return tuple(tuple(values[row % len(values)] for values in inputs) for row in range(EXAMPLES))


def _observe(
    site: Site, policy: Policy, step: Step, probes: Probes, stable_rows: Sequence[Sequence[Value]]
) -> Verdict:
    end = site.clock.now() + step.seconds
    counters = Counters(step.seconds)
    verdict = Verdict(Outcome.WAIT, ())
    with site.prober.running(stable_rows, probes.rows) as probing:
        # They are looked at before a verdict counts: what fails as pods go says nothing of the version.
        while pods := site.canary.serving():
            if verdict.outcome is not Outcome.WAIT:
                return verdict
            stable = site.stable.serving()
            probing.aim(stable, pods)
            site.clock.sleep(POLL_SECONDS)
            site.lease.check()
            over, exchanges = site.clock.now() >= end, probing.seen()
            if over or counters.due(site.clock.now()):
                _count(site, counters, stable, pods, exchanges)
            window = summarise(exchanges, probes, counters.blocks)
            verdict = judge(policy, probes, window, policy.rate * step.seconds, over=over)
    return Verdict(Outcome.AGAIN, ("it lost all its pods",))


def _count(
    site: Site,
    counters: Counters,
    stable: Sequence[Pod],
    canary: Sequence[Pod],
    exchanges: Sequence[Exchange],
) -> None:
    """Read the pods' counts, and say how many of the requests were probes."""
    own = Counts(
        probes=sum(exchange.stable.status > 0 for exchange in exchanges),
        probe_errors=sum(exchange.stable.status >= 500 for exchange in exchanges),
    )
    theirs = Counts(
        probes=sum(exchange.canary.status > 0 for exchange in exchanges),
        probe_errors=sum(exchange.canary.status >= 500 for exchange in exchanges),
    )
    counters.look(
        site.clock.now(),
        {**site.stable.counts(stable), PROBES: own},
        {**site.canary.counts(canary), PROBES: theirs},
    )


def _first(predictor: Predictor) -> Pod:
    serving = predictor.serving()
    if not serving:
        raise RolloutError(f"no pod of {predictor.name} serves: there is nothing to compare with")
    return serving[0]


def _end(site: Site, progress: Progress, reason: str) -> NoReturn:
    """End the attempt for a reason that is not the version's own: it stays the champion."""
    site.lease.check()
    site.routes.weigh(0, None)
    told = f"{progress.release} was not judged, and the version before goes on: {reason}"
    site.journal.record(progress.release.version, "not judged", reason)
    site.journal.say("CanaryNotJudged", told, warning=True)
    raise UnjudgedError(told)


def _fail(site: Site, progress: Progress, reason: str) -> NoReturn:
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
