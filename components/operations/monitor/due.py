"""Decides whether a retraining is due: a pure function of what was recorded and a policy.

``docs/statistics.md`` has its error rates.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from predictor.model.drift import FEWEST_ROWS, THRESHOLD, Drift

# With fewer held-out rows the standard error of their mean squared error can't be trusted.
FEWEST_HELD_OUT = 88
# While nothing changes, at most 1 % of checks find lost quality: the normal distribution's quantile at 99 %.
QUALITY_QUANTILE = 2.326


@dataclass(frozen=True, slots=True)
class Policy:
    """What makes a retraining due.

    Attributes:
        drift: a population stability index above this is large.
        quality: the ratio of the error on labels to the error on the held-out rows that has to be exceeded.
        rows: fewest rows from which drift is judged, as their effective number, and fewest labels from which
            quality is.
        news: labels since the champion was registered that are a reason by themselves; 0 for none.
        age: days since the champion was registered that are a reason by themselves; 0 for none.
    """

    drift: float = THRESHOLD
    quality: float = 1.25
    rows: int = FEWEST_ROWS
    news: int = 0
    age: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.drift) and self.drift > 0):
            raise ValueError(f"drift is a number above 0, not {self.drift}")
        if not (math.isfinite(self.quality) and self.quality >= 1):
            raise ValueError(f"quality is a ratio of at least 1, not {self.quality}")
        if self.rows < 1:
            raise ValueError(f"rows is at least 1, not {self.rows}")
        if self.news < 0:
            raise ValueError(f"news is a number from 0, not {self.news}")
        if not (math.isfinite(self.age) and self.age >= 0):
            raise ValueError(f"age is a number of days from 0, not {self.age}")


@dataclass(frozen=True, slots=True)
class Error:
    """A mean squared error, estimated from rows.

    Attributes:
        mse: the mean; NaN without rows.
        standard_error: of the mean, accounting for rows of one request; NaN where it is not known.
        rows: how many.
    """

    mse: float = math.nan
    standard_error: float = math.nan
    rows: int = 0

    def exceeds(self, other: "Error", ratio: float) -> bool:
        """Return whether it is beyond chance above ``ratio`` times another.

        By a one-sided interval of the logarithm of the ratio at 99 % (delta method). An error that is not a
        finite number exceeds any other; one whose standard error is not known is not compared.
        """
        if self.rows and not math.isfinite(self.mse):
            return True
        allowed = ratio * other.mse
        if not self.mse > allowed:
            return False
        if not allowed > 0:
            return True
        spread = math.hypot(self.standard_error / self.mse, other.standard_error / other.mse)
        return math.log(self.mse / allowed) > QUALITY_QUANTILE * spread


@dataclass(frozen=True, slots=True)
class Answered:
    """What was recorded in the days that the last attempt of a retraining has answered.

    Attributes:
        days: the first and the last of them; empty where there was no attempt.
        drift: of each column since then.
        live: the present champion's error then.
    """

    days: str = ""
    drift: Mapping[str, Drift] = field(default_factory=dict)
    live: Error = Error()


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known at a check.

    Attributes:
        news: labels since the champion was registered.
        age: days since then.
        rows: predictions recorded.
        drift: of each column over those rows.
        live: the champion's error on predictions whose label is known.
        held_out: its error on the rows held out when it was registered.
        answered: what the last attempt of a retraining has answered.
    """

    news: int = 0
    age: float = 0.0
    rows: int = 0
    drift: Mapping[str, Drift] = field(default_factory=dict)
    live: Error = Error()
    held_out: Error = Error()
    answered: Answered = Answered()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to train again, and why, or why not."""

    due: bool
    reasons: tuple[str, ...]


def decide(observed: Observations, policy: Policy) -> Decision:
    """Decide whether a retraining is due. Each reason is enough."""
    found = [*_schedule(observed, policy), *_drift(observed, policy), lost_quality(observed, policy)]
    due = tuple(reason for is_due, reason in found if is_due)
    return Decision(due=bool(due), reasons=due or tuple(reason for _, reason in found))


def _schedule(observed: Observations, policy: Policy) -> Iterator[tuple[bool, str]]:
    if policy.news:
        enough = observed.news >= policy.news
        text = "new data" if enough else "too little new data"
        yield (
            enough,
            f"{text}: {observed.news} labels since the champion was registered, {policy.news} are enough",
        )
    if policy.age:
        old = observed.age >= policy.age
        text = "age" if old else "not old enough"
        yield (
            old,
            f"{text}: the champion was registered {observed.age:.1f} days ago, {policy.age:g} are allowed",
        )


def _drift(observed: Observations, policy: Policy) -> Iterator[tuple[bool, str]]:
    if observed.rows < policy.rows:
        yield False, f"too few predictions to judge drift: {observed.rows} of {policy.rows}"
        return
    columns = len(observed.drift)
    quiet, few, other = 0.0, [], ""
    for name, found in sorted(observed.drift.items()):
        if found.rows < policy.rows:
            few.append(name)
        elif not found.moved(columns, policy.drift):
            quiet = max(quiet, found.index)
        elif (since := observed.answered.drift.get(name)) and not since.moved(columns, policy.drift):
            days = observed.answered.days
            reason = f"a retraining answered the drift of {name} on {days}; its index since then is"
            yield False, f"{reason} {since.index:.3f}"
            other = "other "
        else:
            reason = f"drift: {name} has a stability index of {found.index:.3f}, above {policy.drift:g}"
            chance = f"of {found.rows:.0f} independent rows and {columns} columns"
            yield True, f"{reason} and beyond the chance {chance}"
    if few:
        yield (
            False,
            f"too few independent predictions to judge drift of {', '.join(few)}: fewer than {policy.rows}",
        )
    yield False, f"no {other}drift: the largest stability index is {quiet:.3f}"


def lost_quality(observed: Observations, policy: Policy) -> tuple[bool, str]:
    """Decide whether the champion's quality is lost, and say why, or why not."""
    live, held_out = observed.live, observed.held_out
    if live.rows < policy.rows:
        return False, f"too few labels to judge quality: {live.rows} of {policy.rows}"
    if held_out.rows < FEWEST_HELD_OUT:
        return False, f"too few held-out rows to judge quality: {held_out.rows} of {FEWEST_HELD_OUT}"
    if not (math.isfinite(held_out.mse) and math.isfinite(held_out.standard_error)):
        return False, "the champion's error on its held-out rows is not known"
    compared = (
        f"the mean squared error on {live.rows} labels is {live.mse:.6g}, on {held_out.rows} held-out rows "
        f"{held_out.mse:.6g}"
    )
    if not live.exceeds(held_out, policy.quality):
        return False, f"quality: {compared}; not beyond chance above {policy.quality:g} times as much"
    answered = observed.answered
    if answered.live.rows >= policy.rows and not live.exceeds(answered.live, policy.quality):
        before = f"{answered.live.mse:.6g} on {answered.days}, which a retraining answered"
        return False, f"quality: {compared}; it was {before}"
    return True, f"quality: {compared}; beyond chance above {policy.quality:g} times as much"


def quality(observed: Observations, policy: Policy) -> dict[str, Any]:
    """Return the champion's errors and whether its quality is lost, as JSON for the last decision."""
    lost, _ = lost_quality(observed, policy)
    errors = {"live": observed.live, "held_out": observed.held_out}
    return {"lost": lost} | {
        name: {
            "mean_squared_error": error.mse,
            "standard_error": error.standard_error,
            "rows": error.rows,
        }
        for name, error in errors.items()
    }
