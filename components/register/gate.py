"""The gate: may this candidate become the champion?

A pure function of two scores and a policy, so that every case stands in a table of tests.
"""

import math
from dataclasses import dataclass

from components.data.scores import Scores
from components.registry.decision import Decision

INCOMPARABLE = ("fail", "keep", "replace")
# Two mean squared errors that agree to nine digits are a tie: the rest is rounding.
TIE = 1e-9


class GateError(Exception):
    """The gate can't decide, and its policy asks to fail rather than to guess."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a candidate has to show.

    Attributes:
        floor_r2: its R² must be above this. Zero is the R² of always answering the mean.
        minimum_improvement: the share by which its mean squared error must be below the champion's,
            from 0 (any improvement; a tie keeps the champion) to less than 1.
        incomparable: what to do when the champion can't be scored on the held-out rows: ``fail``,
            ``keep`` the champion, or ``replace`` it by a candidate above the floor.
    """

    floor_r2: float = 0.0
    minimum_improvement: float = 0.0
    incomparable: str = "fail"

    def __post_init__(self) -> None:
        if not math.isfinite(self.floor_r2):
            raise ValueError(f"floor_r2 must be a finite number, not {self.floor_r2}")
        if not 0 <= self.minimum_improvement < 1:
            raise ValueError(
                f"minimum_improvement is a share from 0 to below 1, not {self.minimum_improvement}"
            )
        if self.incomparable not in INCOMPARABLE:
            raise ValueError(f"incomparable is one of {', '.join(INCOMPARABLE)}, not {self.incomparable!r}")


@dataclass(frozen=True, slots=True)
class Unscored:
    """A champion that can't be scored on the held-out rows, and why."""

    problem: str


def decide(candidate: Scores, champion: Scores | Unscored | None, policy: Policy) -> Decision:
    """Decide between a candidate and the champion, both scored on the same held-out rows.

    A candidate with a score that is not finite never passes. The first model needs only the floor.

    Args:
        candidate: its scores.
        champion: the champion's scores, or why it has none; None where there is no champion yet.
        policy: what the candidate has to show.

    Raises:
        GateError: the champion can't be scored and the policy is to fail.
    """
    if isinstance(champion, Unscored) and policy.incomparable == "fail":
        raise GateError(
            f"the champion can't be compared: {champion.problem}. What to do then is a matter of policy: "
            "incomparable=keep keeps it, incomparable=replace lets in a candidate above the floor"
        )
    checks = [_finite(candidate)]
    if checks[0].promote:
        checks = [_above_floor(candidate, policy), _better(candidate, champion, policy)]
    return Decision(
        promote=all(check.promote for check in checks),
        reasons=tuple(reason for check in checks for reason in check.reasons),
    )


def _finite(candidate: Scores) -> Decision:
    odd = [
        f"{name} is {value}"
        for name, value in (("mse", candidate.mse), ("mae", candidate.mae), ("r2", candidate.r2))
        if not math.isfinite(value)
    ]
    return Decision(not odd, tuple(f"the candidate's {problem}, not a finite number" for problem in odd))


def _above_floor(candidate: Scores, policy: Policy) -> Decision:
    passed = candidate.r2 > policy.floor_r2
    relation = "above" if passed else "not above"
    return Decision(passed, (f"R² {candidate.r2:.5f} is {relation} the floor {policy.floor_r2:g}",))


def _better(candidate: Scores, champion: Scores | Unscored | None, policy: Policy) -> Decision:
    if champion is None:
        return Decision(promote=True, reasons=("there is no champion yet",))
    if isinstance(champion, Unscored):
        replace = policy.incomparable == "replace"
        what = "replaced" if replace else "kept"
        return Decision(
            replace, (f"the champion can't be compared and is {what} by policy: {champion.problem}",)
        )
    if not math.isfinite(champion.mse):
        return Decision(promote=True, reasons=(f"the champion's mse is {champion.mse}",))
    compared = f"mse {candidate.mse:.6g} against the champion's {champion.mse:.6g}"
    if not candidate.mse < champion.mse * (1 - TIE):
        tie = candidate.mse <= champion.mse * (1 + TIE)
        return Decision(promote=False, reasons=(f"{compared} is {'a tie' if tie else 'worse'}",))
    improvement = 1 - candidate.mse / champion.mse
    passed = improvement >= policy.minimum_improvement
    reason = f"{compared} is better by {improvement:.3%}"
    if policy.minimum_improvement:
        reason += f", {'at least' if passed else 'less than'} the {policy.minimum_improvement:.3%} asked for"
    return Decision(passed, (reason,))
