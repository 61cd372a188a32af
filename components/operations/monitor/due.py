"""Is it time to train again? A pure function of what was seen and a policy."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from components.operations.monitor.drift import Drift


@dataclass(frozen=True, slots=True)
class Policy:
    """What makes a retraining due.

    Attributes:
        drift: a population stability index above this is drift, if chance alone can't explain it.
        quality: the largest ratio of the error on what came true to the error on the held-out rows.
        rows: fewest rows from which drift is told, and fewest truths from which quality is.
        news: truths told since the champion was registered that are worth a training; 0 where they are no
            reason by themselves.
    """

    drift: float = 0.2
    quality: float = 1.25
    rows: int = 200
    news: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.drift) and self.drift > 0):
            raise ValueError(f"drift is a number above 0, not {self.drift}")
        if not (math.isfinite(self.quality) and self.quality >= 1):
            raise ValueError(f"quality is a ratio of at least 1, not {self.quality}")
        if self.rows < 1:
            raise ValueError(f"rows is at least 1, not {self.rows}")
        if self.news < 0:
            raise ValueError(f"news is a number from 0, not {self.news}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known when it is asked.

    Attributes:
        news: truths told since the champion was registered.
        rows: predictions kept.
        drift: of each column over those rows.
        truths: predictions of the champion whose true value is known.
        live_mse: mean squared error over those; NaN without any.
        held_out_mse: the champion's, when it was registered; NaN where it is not known.
    """

    news: int = 0
    rows: int = 0
    drift: Mapping[str, Drift] = field(default_factory=dict)
    truths: int = 0
    live_mse: float = math.nan
    held_out_mse: float = math.nan


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to train again, and why, or why not."""

    due: bool
    reasons: tuple[str, ...]


def decide(seen: Seen, policy: Policy) -> Decision:
    """Decide whether a retraining is due. Each reason is enough."""
    reasons = tuple(_reasons(seen, policy))
    return Decision(due=bool(reasons), reasons=reasons or tuple(_nothing(seen, policy)))


def _reasons(seen: Seen, policy: Policy) -> Iterator[str]:
    if policy.news and seen.news >= policy.news:
        yield f"new data: {seen.news} truths were told since the champion was registered"
    if seen.rows >= policy.rows:
        for name, found in sorted(seen.drift.items()):
            if found.index > max(policy.drift, found.chance):
                yield f"drift: {name} has a stability index of {found.index:.3f}, above {policy.drift:g}"
    if seen.truths >= policy.rows and not math.isnan(seen.held_out_mse):
        allowed = policy.quality * seen.held_out_mse
        # Written so that an error which is no number counts as too large.
        if not seen.live_mse <= allowed:
            yield (
                f"quality: the mean squared error on {seen.truths} truths is {seen.live_mse:.6g}, "
                f"above {policy.quality:g} times the {seen.held_out_mse:.6g} of the held-out rows"
            )


def _nothing(seen: Seen, policy: Policy) -> Iterator[str]:
    if policy.news:
        yield f"too little new data: {seen.news} truths of {policy.news}"
    if seen.rows < policy.rows:
        yield f"too few predictions to tell drift from: {seen.rows} of {policy.rows}"
    else:
        worst = max(seen.drift.values(), key=lambda found: found.index, default=Drift(0.0, 0.0))
        yield f"no drift: the largest stability index is {worst.index:.3f}"
    if seen.truths < policy.rows:
        yield f"too few truths to tell quality from: {seen.truths} of {policy.rows}"
    elif math.isnan(seen.held_out_mse):
        yield "the champion's own error is not known"
    else:
        yield f"quality holds: {seen.live_mse:.6g} against {seen.held_out_mse:.6g}"
