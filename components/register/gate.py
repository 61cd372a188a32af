"""The gate: decides whether a candidate becomes the champion.

A pure function of two models' errors on the same held-out rows, of how often these rows have judged before,
and of a policy. ``docs/statistics.md`` has its error rates.
"""

import math
from dataclasses import dataclass, replace

from components.data.contamination import Contamination
from components.data.scores import PairedErrors, Scores
from components.registry.decision import Decision

INCOMPARABLE = ("fail", "keep", "replace")
EVIDENCE = ("interval", "point")
REUSED_ROWS = ("count", "refuse")
# All looks at the same rows together promote an equal model at most this often, the first look half as often.
LEVEL = 0.05
# Two mean squared errors that agree to nine digits are a tie: the rest is rounding.
TIE = 1e-9


class GateError(Exception):
    """The gate can't decide, and the policy is to fail then."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The conditions for a promotion.

    Attributes:
        floor_r2: its R² must be above this. Zero is the R² of always answering the mean.
        minimum_improvement: the share by which its mean squared error must be below the champion's,
            from 0 (any improvement; a tie keeps the champion) to less than 1.
        incomparable: what to do when the champion can't be scored on the held-out rows: ``fail``,
            ``keep`` the champion, or ``replace`` it by a candidate above the floor. A champion that was
            trained on the held-out rows is kept with a warning, unless it is ``replace``.
        evidence: what has to be above ``minimum_improvement``: the lower bound of the improvement's
            ``interval``, or its ``point`` estimate, which chance alone exceeds half of the time.
        reused_rows: what to do where the held-out rows have judged before: ``count`` these looks and ask for
            more evidence, or ``refuse`` to promote on any but fresh rows.
    """

    floor_r2: float = 0.0
    minimum_improvement: float = 0.0
    incomparable: str = "fail"
    evidence: str = "interval"
    reused_rows: str = "count"

    def __post_init__(self) -> None:
        if not math.isfinite(self.floor_r2):
            raise ValueError(f"floor_r2 must be a finite number, not {self.floor_r2}")
        if not 0 <= self.minimum_improvement < 1:
            raise ValueError(
                f"minimum_improvement is a share from 0 to below 1, not {self.minimum_improvement}"
            )
        for name, choices in (
            ("incomparable", INCOMPARABLE),
            ("evidence", EVIDENCE),
            ("reused_rows", REUSED_ROWS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Unscored:
    """A champion that can't be scored on the held-out rows, and why."""

    problem: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate and champion on the same held-out rows.

    Attributes:
        errors: of both, row by row.
        shared: comparisons that these rows have decided before. One of which they share a part counts as that
            part.
        unknown: earlier comparisons whose rows can't be compared with these. Each counts as one.
        contamination: of the held-out rows with those that the champion was trained on, if there is any.
    """

    errors: PairedErrors
    shared: float = 0.0
    unknown: int = 0
    contamination: Contamination | None = None

    @property
    def looks(self) -> float:
        """The comparisons that count as earlier looks at these rows."""
        return self.shared + self.unknown

    @property
    def look(self) -> int:
        """The number of this look at the rows, from 1."""
        return 1 + math.ceil(self.looks - TIE)

    @property
    def level(self) -> float:
        """The probability with which this look may promote an equal model.

        0.05 / (k (k + 1)) at the k-th look: all of them add up to less than 0.05.
        """
        return LEVEL / (self.look * (self.look + 1))


def decide(
    candidate: Scores,
    champion: Scores | Unscored | None,
    policy: Policy,
    comparison: Comparison | None = None,
) -> Decision:
    """Decide between a candidate and the champion, both scored on the same held-out rows.

    A candidate with a score that is not finite never passes. The first model needs only the floor.

    Args:
        candidate: its scores.
        champion: the champion's scores, or why it has none; None where there is no champion yet.
        policy: what the candidate has to show.
        comparison: of the two; none where the champion has no scores.

    Raises:
        GateError: the champion can't be scored and the policy is to fail.
        ValueError: both have scores, and there is no comparison.
    """
    if isinstance(champion, Unscored) and policy.incomparable == "fail":
        raise GateError(
            f"the champion can't be compared: {champion.problem}. Set incomparable: "
            "incomparable=keep keeps it, incomparable=replace promotes a candidate above the floor"
        )
    checks = [_finite(candidate)]
    if checks[0].promote:
        checks = [_above_floor(candidate, policy), _better(candidate, champion, policy, comparison)]
    return Decision(
        promote=all(check.promote for check in checks),
        reasons=tuple(reason for check in checks for reason in check.reasons),
        warning=next((check.warning for check in checks if check.warning), None),
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


def _better(
    candidate: Scores, champion: Scores | Unscored | None, policy: Policy, comparison: Comparison | None
) -> Decision:
    if champion is None:
        return Decision(promote=True, reasons=("there is no champion yet",))
    if isinstance(champion, Unscored):
        replaced = policy.incomparable == "replace"
        what = "replaced" if replaced else "kept"
        return Decision(
            replaced, (f"the champion can't be compared and is {what} by policy: {champion.problem}",)
        )
    if not math.isfinite(champion.mse):
        return Decision(promote=True, reasons=(f"the champion's mse is {champion.mse}",))
    if comparison is None:
        raise ValueError("two models with scores need a comparison of their errors")
    decision = _compared(candidate, champion, policy, comparison)
    if comparison.contamination:
        return _contaminated(decision, comparison.contamination, policy)
    return decision


def _contaminated(decision: Decision, contamination: Contamination, policy: Policy) -> Decision:
    """Allow for a champion that was trained on held-out rows, which makes its error too low, not too high.

    A candidate that is better all the same is better. That it is not shows nothing.
    """
    about = (
        f"the champion was trained on about {contamination.share:.0%} of these held-out rows, so its error "
        "on them is too low"
    )
    if decision.promote:
        return replace(decision, reasons=(*decision.reasons, f"{about}, and the candidate's is lower still"))
    if policy.incomparable == "replace":
        return replace(
            decision, promote=True, reasons=(*decision.reasons, f"{about}: it is replaced by policy")
        )
    fair = "the same rows" if contamination.split else "rows that it was not trained on"
    split = f" ({contamination.split})" if contamination.split else ""
    return replace(
        decision,
        reasons=(*decision.reasons, about),
        warning=(
            "the comparison is unfair to the new model, because this run holds out other rows than that of "
            f"the champion. Hold out {fair}{split}, or replace the champion with incomparable=replace"
        ),
    )


def _compared(candidate: Scores, champion: Scores, policy: Policy, comparison: Comparison) -> Decision:
    compared = f"mse {candidate.mse:.6g} against the champion's {champion.mse:.6g}"
    if not candidate.mse < champion.mse * (1 - TIE):
        tie = candidate.mse <= champion.mse * (1 + TIE)
        return Decision(promote=False, reasons=(f"{compared} is {'a tie' if tie else 'worse'}",))
    improved = f"{compared} is better by {1 - candidate.mse / champion.mse:.3%}"
    if policy.reused_rows == "refuse" and comparison.look > 1:
        reason = f"{improved}, {_looks(comparison)}, and the policy asks for fresh rows"
        return Decision(promote=False, reasons=(reason,))
    if policy.evidence == "point":
        return _enough(1 - candidate.mse / champion.mse, improved, policy)
    return _beyond_chance(comparison, improved, policy)


def _enough(improvement: float, improved: str, policy: Policy) -> Decision:
    passed = improvement >= policy.minimum_improvement
    if policy.minimum_improvement:
        improved += f", {'at least' if passed else 'less than'} the {policy.minimum_improvement:.3%} required"
    return Decision(passed, (f"{improved}; by policy chance is not ruled out",))


def _beyond_chance(comparison: Comparison, improved: str, policy: Policy) -> Decision:
    level = comparison.level
    bound = comparison.errors.lower_bound(level, policy.minimum_improvement)
    # Written so that NaN, which is neither above nor below, fails.
    passed = bound > policy.minimum_improvement
    reason = (
        f"{improved}; the lower bound at {100 * (1 - level):.6g} % is {bound:.3%}, "
        f"{'above' if passed else 'not above'} the {policy.minimum_improvement:.3%} required"
    )
    if math.isnan(bound):
        reason = f"{improved}; there is no interval"
    if not passed:
        reason += f": {comparison.errors.count} do not show that this is more than chance"
    return Decision(passed, (reason, _looks(comparison)) if comparison.look > 1 else (reason,))


def _looks(comparison: Comparison) -> str:
    """Say which look this is, and why, without claiming more than is known of the earlier ones."""
    shared, rows = comparison.shared, f"these {comparison.errors.rows} rows"
    whole = abs(shared - round(shared)) < TIE
    said = []
    if shared > TIE and whole:
        said.append(f"they have decided {_comparisons(round(shared))} before")
    elif shared > TIE:
        said.append(f"earlier comparisons have used {shared:.0%} of them, added up")
    if comparison.unknown:
        said.append(
            f"{_comparisons(comparison.unknown)} before can't be told apart, because the columns differ"
        )
    counts = "is" if whole and not comparison.unknown else "counts as"
    return f"this {counts} look {comparison.look} at {rows}: {', and '.join(said)}"


def _comparisons(number: int) -> str:
    return f"{number} comparison{'' if number == 1 else 's'}"
