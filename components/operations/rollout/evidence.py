"""Tests whether the canary fails more requests or is slower, beyond chance, by the pods' own counts.

A window is cut into blocks. Errors and slow answers come in bursts, so requests are not independent, but
blocks nearly are: each test is a one-sided t test of a ratio estimator with the blocks as clusters (Cochran,
Sampling Techniques, 1977, chapter 6). Both versions are counted in the same blocks, so disturbances of both
cancel.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from components.operations.rollout.policy import Policy

# Largest probability of rolling back a sound version, by all tests of all steps together.
FALSE_ALARMS = 0.01
# Failures of all requests, of users' requests, mean latency, shares of slow answers.
TESTS_OF_A_STEP = 4
# Share of a window for which a sound version may be out of order.
OUTAGE = 0.2
FEWEST_BLOCKS = 8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """What the pods of one version counted in a block.

    Attributes:
        requests: number of answers, to users and to probes.
        errors: answers with a status of 500 or above.
        seconds: total time of the answers.
        edges: of the histogram of seconds, increasing.
        slower: number of answers that took longer than each edge.
        probes: how many of the requests were the job's own probes.
        probe_errors: how many of the errors.
    """

    requests: float = 0.0
    errors: float = 0.0
    seconds: float = 0.0
    edges: tuple[float, ...] = ()
    slower: tuple[float, ...] = ()
    probes: float = 0.0
    probe_errors: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        """Add the counts of another pod."""
        return self._with(other, 1.0)

    def __sub__(self, before: "Counts") -> "Counts":
        """Return what was counted since an earlier reading of the same pod."""
        return self._with(before, -1.0)

    def _with(self, other: "Counts", sign: float) -> "Counts":
        pairs = zip_longest(self.slower, other.slower, fillvalue=0.0)
        return Counts(
            self.requests + sign * other.requests,
            self.errors + sign * other.errors,
            self.seconds + sign * other.seconds,
            self.edges or other.edges,
            tuple(mine + sign * theirs for mine, theirs in pairs),
            self.probes + sign * other.probes,
            self.probe_errors + sign * other.probe_errors,
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A few seconds of a window."""

    stable: Counts
    canary: Counts


def worse(policy: Policy, blocks: Sequence[Block]) -> Iterator[str]:
    """Yield how the canary is worse than the policy allows, beyond chance."""
    if next(missing(policy, blocks), None):
        return
    level = FALSE_ALARMS / (len(policy.steps) * TESTS_OF_A_STEP)
    ours, theirs = _Totals([block.stable for block in blocks]), _Totals([block.canary for block in blocks])
    for whose, stable, canary in (("all", ours, theirs), ("users'", ours.users(), theirs.users())):
        yield from _more_errors(policy, whose, stable, canary, level)
    if _slower_mean(policy, ours, theirs, level) or _slower_share(policy, ours, theirs, level):
        yield (
            f"the mean latency is {1000 * theirs.mean:.2f} ms against {1000 * ours.mean:.2f} ms; this is "
            f"beyond chance above {policy.latency_ratio:g} times the stable version's, which counts as at "
            f"least {1000 * policy.latency_floor:g} ms"
        )


def _more_errors(
    policy: Policy, whose: str, ours: "_Totals", theirs: "_Totals", level: float
) -> Iterator[str]:
    if min(ours.count, theirs.count) < policy.requests:
        return
    if _exceeds(theirs.ratio(theirs.errors, ours, ours.errors), policy.error_ratio, level):
        yield (
            f"of {whose} requests {theirs.errors.sum():.0f} of {theirs.count:.0f} failed, and "
            f"{ours.errors.sum():.0f} of {ours.count:.0f} of the stable version; "
            f"{policy.error_ratio:.2%} more may"
        )


def missing(policy: Policy, blocks: Sequence[Block]) -> Iterator[str]:
    """Yield what is missing for a judgment of the pods' counts."""
    counted = sum(bool(block.stable.requests and block.canary.requests) for block in blocks)
    if counted < FEWEST_BLOCKS:
        yield f"pods of both versions counted requests in {counted} blocks, {FEWEST_BLOCKS} are needed"
    for name, requests in (
        ("stable", sum(block.stable.requests for block in blocks)),
        ("canary", sum(block.canary.requests for block in blocks)),
    ):
        if requests < policy.requests:
            yield f"the {name} pods counted {requests:.0f} requests, {policy.requests} are needed"


def describe(blocks: Sequence[Block]) -> str:
    """Summarise the counts for people."""
    ours, theirs = _Totals([block.stable for block in blocks]), _Totals([block.canary for block in blocks])
    return (
        f"{theirs.errors.sum():.0f} of {theirs.count:.0f} requests failed against {ours.errors.sum():.0f} of "
        f"{ours.count:.0f}, mean latency {1000 * theirs.mean:.2f} ms against {1000 * ours.mean:.2f} ms"
    )


def most_failures(policy: Policy, planned: float) -> int:
    """Return how many of a window's probes may fail before its end, while the stable version answers them.

    These are the share that a version may fail, and one outage of a fifth of the window. Fewer failures are
    judged at the end of the window.
    """
    return round((policy.error_ratio + OUTAGE) * planned)


class _Totals:
    """The counts of one version, as arrays over the blocks."""

    def __init__(self, counts: Sequence[Counts]) -> None:
        self.counts = counts
        self.requests = np.array([count.requests for count in counts])
        self.errors = np.array([count.errors for count in counts])
        self.seconds = np.array([count.seconds for count in counts])
        self.edges = next((count.edges for count in counts if count.edges), ())
        empty = (0.0,) * len(self.edges)
        self.slower = np.array([count.slower or empty for count in counts])
        self.count = float(self.requests.sum())
        self.mean = float(self.seconds.sum() / self.count) if self.count else math.nan

    def users(self) -> "_Totals":
        """Return the counts of requests and errors without those of the probes."""
        return _Totals(
            [
                Counts(count.requests - count.probes, count.errors - count.probe_errors)
                for count in self.counts
            ]
        )

    def ratio(
        self, mine: Floats, other: "_Totals", theirs: Floats, factor: float = 1.0
    ) -> tuple[float, Floats]:
        """Return mine / requests - factor * theirs / other.requests, and each block's part in its error."""
        own, others = mine.sum() / self.count, theirs.sum() / other.count
        residuals = (mine - own * self.requests) / self.count
        residuals -= factor * (theirs - others * other.requests) / other.count
        return float(own - factor * others), residuals


def _exceeds(found: tuple[float, Floats], bound: float, level: float) -> bool:
    """Test "the value is at most the bound", one-sided, with the blocks as clusters."""
    value, residuals = found
    blocks = residuals.size
    error = math.sqrt(blocks / (blocks - 1) * float(residuals @ residuals))
    return value - bound > -float(stdtrit(blocks - 1, level)) * error


def _slower_mean(policy: Policy, ours: _Totals, theirs: _Totals, level: float) -> bool:
    # Below the floor, the floor takes the place of the stable version's mean, and has no error.
    above = ours.mean > policy.latency_floor
    factor = policy.latency_ratio if above else 0.0
    bound = 0.0 if above else policy.latency_ratio * policy.latency_floor
    return _exceeds(theirs.ratio(theirs.seconds, ours, ours.seconds, factor), bound, level)


def _slower_share(policy: Policy, ours: _Totals, theirs: _Totals, level: float) -> bool:
    """Test shares above edges: latencies that grow by at most r have share(> r e) <= share(> e)."""
    edges = np.array(ours.edges)
    pairs = [
        (near, far)
        for near, far in enumerate(np.searchsorted(edges, policy.latency_ratio * edges))
        if edges[near] >= policy.latency_floor and far < edges.size
    ]
    return any(
        _exceeds(theirs.ratio(theirs.slower[:, far], ours, ours.slower[:, near]), 0.0, level / len(pairs))
        for near, far in pairs
    )
