"""The canary's decision: a pure function of what was seen in one window, and a policy.

It answers two questions: do the pods serve the very model that the gate accepted, and do they serve it as
well as the stable version's pods? ``docs/statistics.md`` has the error rates. Missing data is never a pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from components.data.probes import Probes
from components.operations.rollout import evidence
from components.operations.rollout.evidence import Block
from components.operations.rollout.policy import Policy


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version answered to a probe.

    Attributes:
        status: of HTTP; 0 without an answer.
        value: the prediction; None unless the status is 200 and the body has one.
    """

    status: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A probe of both versions at the same time, each with a row of its own.

    Attributes:
        row: number of the canary's row among its recorded probes.
        stable: the stable version's answer.
        canary: the canary's.
    """

    row: int
    stable: Answer
    canary: Answer


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in a window, in whatever order.

    Attributes:
        compared: answers of the canary that equal the recorded ones.
        rows: different rows among them.
        wrong: answers of the canary with status 200 that do not, the first three of them in words.
        wrong_count: how many there are.
        failed: probes that the canary answered with another status while the stable version answered well.
        unreached: probes that the canary did not answer while the stable version answered well.
        shared: probes that neither answered well.
        blocks: the pods' own counts of all requests, block by block.
    """

    compared: int = 0
    rows: int = 0
    wrong: tuple[str, ...] = ()
    wrong_count: int = 0
    failed: int = 0
    unreached: int = 0
    shared: int = 0
    blocks: tuple[Block, ...] = ()


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


def summarise(exchanges: Sequence[Exchange], probes: Probes, blocks: Sequence[Block]) -> Window:
    """Count what was exchanged, each answer of the canary against the recorded one."""
    right: list[int] = []
    wrong: list[str] = []
    failed = unreached = shared = 0
    for exchange in exchanges:
        canary, well = exchange.canary, exchange.stable.value is not None
        if canary.status == 200:
            if probes.agrees(exchange.row, canary.value):
                right.append(exchange.row)
            else:
                expected = probes.answers[exchange.row]
                wrong.append(f"probe {exchange.row} was answered {canary.value}, recorded is {expected}")
        elif not well:
            shared += 1
        elif canary.status:
            failed += 1
        else:
            unreached += 1
    return Window(
        compared=len(right),
        rows=len(set(right)),
        wrong=tuple(sorted(wrong)[:3]),
        wrong_count=len(wrong),
        failed=failed,
        unreached=unreached,
        shared=shared,
        blocks=tuple(blocks),
    )


def judge(policy: Policy, probes: Probes, window: Window, planned: float, *, over: bool) -> Verdict:
    """Decide on a window that is still going on, or over.

    A wrong answer ends it at once: a sound version gives none. So do failed probes of more than a fifth of
    the whole window, a count that only grows, so that looking often does no harm. The pods' counts are judged
    once, when the window is over. Probes that get no answer at all end the window too, but the version is not
    at fault.

    Args:
        policy: what the canary has to show.
        probes: recorded for the canary's version.
        window: what was seen.
        planned: how many probes the whole window has.
        over: whether the window's time is up.
    """
    faults = tuple(_faults(policy, window, planned))
    if faults:
        return Verdict(Outcome.ROLL_BACK, faults)
    if window.unreached > policy.error_ratio * planned:
        # Its pods or their network are gone: the users' requests fail too.
        return Verdict(Outcome.AGAIN, (f"{window.unreached} probes were not answered",))
    if not over:
        return Verdict(Outcome.WAIT, ())
    # A fault that shows in the little that was seen is a fault all the same.
    worse = tuple(evidence.worse(policy, window.blocks))
    if worse:
        return Verdict(Outcome.ROLL_BACK, worse)
    missing = tuple(_missing(policy, probes, window))
    if missing:
        return Verdict(Outcome.AGAIN, missing)
    told = f"{window.compared} answers equal the recorded ones; {evidence.describe(window.blocks)}"
    return Verdict(Outcome.PASS, (told,))


def _faults(policy: Policy, window: Window, planned: float) -> Iterator[str]:
    if window.wrong_count:
        yield f"{window.wrong_count} answers differ from the recorded ones: {'; '.join(window.wrong)}"
    allowed = evidence.most_failures(policy, planned)
    if window.failed > allowed:
        yield (
            f"{window.failed} probes failed that the stable version answered, and {allowed} of "
            f"the window's {planned:.0f} may"
        )


def _missing(policy: Policy, probes: Probes, window: Window) -> Iterator[str]:
    if window.compared < policy.requests:
        lost = f"{window.unreached} were not answered, {window.shared} by neither version"
        yield f"{window.compared} probes were answered, {policy.requests} are needed; {lost}"
    if window.rows < len(probes.rows):
        yield f"{window.rows} of {len(probes.rows)} recorded probes were asked"
    yield from evidence.missing(policy, window.blocks)
