"""Gives a new version requests step by step, and watches it.

A job does this, not a controller. Its whole state is on the routes, so that the next job can resume the
canary of a killed one. Whatever ends a step, its weight is removed first.
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
# After its window a weight stays valid for as long as a standby needs to find this job dead and remove it.
MARGIN_SECONDS = SECONDS + 5.0


class RolledBackError(RolloutError):
    """The canary was faulty and is withdrawn; the stable version serves all requests."""


class UnjudgedError(RolloutError):
    """The canary could not be judged; the stable version goes on serving, and the next run tries again."""


def canary(site: Site, policy: Policy) -> Release:
    """Serve the registry's champion on every pod, if it passes each step of the canary.

    Args:
        site: what is touched.
        policy: the steps and limits.

    Returns:
        The champion.

    Raises:
        BusyError: another rollout is in progress, or took over.
        RolledBackError: the champion was faulty, and is withdrawn.
        UnjudgedError: it could not be judged, and is not withdrawn.
        RolloutError: its pods did not come after it had passed all steps.
    """
    with site.lease.held("a canary"):
        return watch(site, policy)


def watch(site: Site, policy: Policy) -> Release:
    """Run the canary's steps, resuming an interrupted run. The caller must hold the lease."""
    release = site.champion()
    if site.stable.wanted() == release and not site.stable.pending(release):
        stop_canary(site)
        return release
    progress = _resume(site, release)
    if progress.failed:
        _fail(site, progress, progress.failed)
    while progress.step < len(policy.steps):
        if progress.attempts >= policy.attempts:
            _end(site, progress, f"step {progress.step + 1} was started {progress.attempts} times")
        try:
            progress = _step(site, policy, progress)
        except (BusyError, RolledBackError, UnjudgedError):
            raise
        except BaseException:
            # Also when a signal stops this job: the next one resumes from the routes.
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
    """Remove the weight that a killed job left, and return its progress."""
    split = site.routes.read()
    progress = split.progress if split.progress and split.progress.release == release else Progress(release)
    site.lease.check()
    site.routes.weigh(0, progress)
    if progress.attempts:
        site.journal.say("CanaryResumed", f"{release} at step {progress.step + 1}")
    return progress


def _step(site: Site, policy: Policy, progress: Progress) -> Progress:
    """Run one window; returns the progress, which stays at this step if the window has to be repeated."""
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
    """Wait until the canary's pods are ready and say that they serve the release; no weight is set yet."""
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
    """Return the probes recorded for the release, or, if the policy allows, examples from its pods."""
    recorded = site.probes(progress.release)
    if recorded is not None:
        return recorded
    if policy.unrecorded == "refuse":
        _end(
            site,
            progress,
            "no probes were recorded for it, so its answers can't be checked. The policy unrecorded=accept "
            "accepts any answer; promote serves it without a canary",
        )
    rows = _examples(site.canary)
    # Any finite answer is within an infinite tolerance.
    return Probes(rows, (0.0,) * len(rows), deviation=1.0, tolerance=math.inf)


def _stable_rows(site: Site) -> Sequence[Sequence[Value]]:
    """Return rows for the stable version, whose model may have other inputs than the canary's."""
    stable = site.stable.wanted()
    recorded = site.probes(stable) if stable else None
    return recorded.rows if recorded else _examples(site.stable)


def _examples(predictor: Predictor) -> tuple[tuple[Value, ...], ...]:
    """Return rows of the example values that a pod has for its inputs."""
    inputs = predictor.report(_first(predictor)).examples
    return tuple(tuple(values[row % len(values)] for values in inputs) for row in range(EXAMPLES))


def _observe(
    site: Site, policy: Policy, step: Step, probes: Probes, stable_rows: Sequence[Sequence[Value]]
) -> Verdict:
    """Watch the canary with its weight set; returns the verdict on the window."""
    end = site.clock.now() + step.seconds
    counters = Counters(step.seconds)
    verdict = Verdict(Outcome.WAIT, ())
    with site.prober.running(stable_rows, probes.rows) as probing:
        # Checked before a verdict counts: failures while pods disappear are not the version's.
        while pods := site.canary.serving():
            if verdict.outcome is not Outcome.WAIT:
                return verdict
            stable = site.stable.serving()
            probing.aim(stable, pods)
            site.clock.sleep(POLL_SECONDS)
            site.lease.check()
            over, exchanges = site.clock.now() >= end, probing.exchanges()
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
    """Add a reading of the pods' counts, with the number of probes among the requests."""
    own = Counts(
        probes=sum(exchange.stable.status > 0 for exchange in exchanges),
        probe_errors=sum(exchange.stable.status >= 500 for exchange in exchanges),
    )
    theirs = Counts(
        probes=sum(exchange.canary.status > 0 for exchange in exchanges),
        probe_errors=sum(exchange.canary.status >= 500 for exchange in exchanges),
    )
    counters.add(
        site.clock.now(),
        {**site.stable.counts(stable), PROBES: own},
        {**site.canary.counts(canary), PROBES: theirs},
    )


def _first(predictor: Predictor) -> Pod:
    serving = predictor.serving()
    if not serving:
        raise RolloutError(f"no pod of {predictor.name} serves, so there is nothing to compare with")
    return serving[0]


def _end(site: Site, progress: Progress, reason: str) -> NoReturn:
    """End the attempt without withdrawing the version, which stays the champion."""
    site.lease.check()
    site.routes.weigh(0, None)
    message = f"{progress.release} was not judged, and the version before goes on serving: {reason}"
    site.journal.record(progress.release.version, "not judged", reason)
    site.journal.say("CanaryNotJudged", message, warning=True)
    raise UnjudgedError(message)


def _fail(site: Site, progress: Progress, reason: str) -> NoReturn:
    """Roll back: remove the weight, change the registry, and remove the progress last."""
    site.lease.check()
    site.routes.weigh(0, progress.but(failed=reason))
    fallback = before_this(site, progress.release)
    if fallback is None:
        raise RolloutError(f"{progress.release} is faulty, and no other version is served: {reason}")
    message = give_up(site, progress.release, fallback, reason)
    site.lease.check()
    site.routes.weigh(0, None)
    raise RolledBackError(message)
