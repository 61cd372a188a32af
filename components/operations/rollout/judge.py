"""The canary's decision: a pure function of one window's observations and a policy.

It answers two questions. Do the pods serve the very model that the gate accepted? Do they serve it as
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
    """A version's answer to a probe.

    Attributes:
        status: the HTTP status; 0 without an answer.
        value: the prediction; None unless the status is 200 and the body has one.
    """

    status: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A probe of both versions at the same time, each with its own row.

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
    """The observations of a window, in any order.

    Attributes:
        compared: answers of the canary that equal the recorded predictions.
        rows: number of different rows among them.
        wrong: descriptions of the first three answers with status 200 that differ from the recorded ones.
        wrong_count: how many differ.
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
    """What to do next."""

    PASS = "go on"  # noqa: S105 - a verdict
    WAIT = "wait"
    AGAIN = "begin the step again"
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do next, and why."""

    outcome: Outcome
    reasons: tuple[str, ...]


def summarise(exchanges: Sequence[Exchange], probes: Probes, blocks: Sequence[Block]) -> Window:
    """Count the exchanges, and compare each answer of the canary with the recorded one."""
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
    """Decide on a window in progress, or at its end.

    A wrong answer ends the window at once, because a sound version gives none. More failed probes than a
    fifth of the whole window end it, too; this count only grows, so judging it often causes no false alarm.
    The pods' counts are judged once, at the end. Probes without any answer end the window as well, but are
    not a fault of the version.

    Args:
        policy: the limits.
        probes: recorded for the canary's version.
        window: the observations so far.
        planned: number of probes in the whole window.
        over: whether the window's time is up.
    """
    faults = tuple(_faults(policy, window, planned))
    if faults:
        return Verdict(Outcome.ROLL_BACK, faults)
    if window.unreached > policy.error_ratio * planned:
        # Its pods or their network are gone, and users' requests fail as well.
        return Verdict(Outcome.AGAIN, (f"{window.unreached} probes were not answered",))
    if not over:
        return Verdict(Outcome.WAIT, ())
    # Judged before missing data: a fault that few observations show is still a fault.
    worse = tuple(evidence.worse(policy, window.blocks))
    if worse:
        return Verdict(Outcome.ROLL_BACK, worse)
    missing = tuple(_missing(policy, probes, window))
    if missing:
        return Verdict(Outcome.AGAIN, missing)
    summary = f"{window.compared} answers equal the recorded ones; {evidence.describe(window.blocks)}"
    return Verdict(Outcome.PASS, (summary,))


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
