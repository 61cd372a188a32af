"""The canary's decision: a pure function of what was seen in one window, and a policy.

Stable and canary are asked the same instances at the same time, so that load, noise and a slow network
strike both alike. Whatever is missing counts against the canary: it passes only on what was seen.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from components.operations.rollout.policy import Policy


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version made of an instance.

    Attributes:
        seconds: until the answer was there.
        value: the prediction; None where the request failed.
    """

    seconds: float
    value: float | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One instance, asked of both versions."""

    stable: Answer
    canary: Answer


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in a window, whatever order it came in.

    Attributes:
        requests: instances asked.
        errors: of the canary's requests, those that failed.
        not_finite: predictions of the canary that are no finite number.
        compared: instances for which both gave a finite prediction.
        stable_latency: quantile of the stable version's latencies over those, in seconds; NaN without any.
        canary_latency: the canary's.
        shift: mean distance of the two predictions, in standard deviations of the stable version's; NaN
            without any, infinite where the stable version always says the same and the canary does not.
    """

    requests: int
    errors: int
    not_finite: int
    compared: int
    stable_latency: float
    canary_latency: float
    shift: float


class Outcome(Enum):
    """What is to be done."""

    PASS = "go on"  # noqa: S105 - a verdict
    WAIT = "wait"
    AGAIN = "begin the step again"
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and why."""

    outcome: Outcome
    reasons: tuple[str, ...]


def summarise(exchanges: Iterable[Exchange], quantile: float) -> Window:
    """Reduce what was exchanged to the figures that are judged."""
    seen = list(exchanges)
    values = [exchange.canary.value for exchange in seen]
    both = [
        (exchange, exchange.stable.value, exchange.canary.value)
        for exchange in seen
        if _is_number(exchange.stable.value) and _is_number(exchange.canary.value)
    ]
    stable = [float(value) for _, value, _ in both if value is not None]
    canary = [float(value) for _, _, value in both if value is not None]
    return Window(
        requests=len(seen),
        errors=sum(value is None for value in values),
        not_finite=sum(value is not None and not math.isfinite(value) for value in values),
        compared=len(both),
        stable_latency=_quantile([exchange.stable.seconds for exchange, _, _ in both], quantile),
        canary_latency=_quantile([exchange.canary.seconds for exchange, _, _ in both], quantile),
        shift=_shift(stable, canary),
    )


def judge(policy: Policy, window: Window, *, over: bool) -> Verdict:
    """Decide on a window that is still going on, or over.

    Wrong numbers and more errors than the whole window is allowed end it at once. Latency and shift are
    judged when it is over: looked at again and again, chance alone would exceed any bound some time.

    Args:
        policy: what the canary has to show.
        window: what was seen.
        over: whether the window's time is up.
    """
    faults = tuple(_faults(policy, window))
    if faults:
        return Verdict(Outcome.ROLL_BACK, faults)
    if not over:
        return Verdict(Outcome.WAIT, ())
    if window.compared < policy.requests:
        told = f"{window.compared} requests could be compared, and {policy.requests} are needed to tell"
        return Verdict(Outcome.AGAIN, (told,))
    worse = tuple(_worse(policy, window))
    if worse:
        return Verdict(Outcome.ROLL_BACK, worse)
    return Verdict(Outcome.PASS, (_praise(window),))


def _faults(policy: Policy, window: Window) -> Iterator[str]:
    if window.not_finite:
        yield f"{window.not_finite} of {window.requests} predictions are no finite number"
    if window.errors > policy.error_ratio * max(window.requests, policy.requests):
        yield (
            f"{window.errors} of {window.requests} requests failed, and {policy.error_ratio:.2%} of at least "
            f"{policy.requests} may"
        )


def _worse(policy: Policy, window: Window) -> Iterator[str]:
    # Written so that NaN, which is neither above nor below, fails.
    allowed = policy.latency_ratio * max(window.stable_latency, policy.latency_floor)
    if not window.canary_latency <= allowed:
        yield (
            f"the latency's quantile {policy.quantile:g} is {1000 * window.canary_latency:.1f} ms against "
            f"{1000 * window.stable_latency:.1f} ms, and {1000 * allowed:.1f} ms are allowed"
        )
    if not window.shift <= policy.shift:
        yield (
            f"predictions are shifted by {window.shift:.3g} standard deviations, "
            f"and {policy.shift:g} are allowed"
        )


def _praise(window: Window) -> str:
    return (
        f"{window.compared} requests compared, {window.errors} failed, latency "
        f"{1000 * window.canary_latency:.1f} ms against {1000 * window.stable_latency:.1f} ms, "
        f"predictions shifted by {window.shift:.3g} standard deviations"
    )


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed; NaN without values."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)] if values else math.nan


def _shift(stable: list[float], canary: list[float]) -> float:
    if not stable:
        return math.nan
    count = len(stable)
    # fsum is exact: the order of arrival changes no digit. Scaled, the squares of large numbers stay finite.
    scale = max(map(abs, (*stable, *canary))) or 1.0
    ours, theirs = [value / scale for value in stable], [value / scale for value in canary]
    distance = math.fsum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / count
    mean = math.fsum(ours) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in ours) / count)
    # The square of a deviation below 1e-162 is 0.
    if deviation and min(ours) < max(ours):
        return distance / deviation
    return math.inf if distance else 0.0
