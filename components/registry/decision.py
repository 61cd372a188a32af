"""The decision on a candidate, as the registry keeps it with the version."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate becomes the champion, and why."""

    promote: bool
    reasons: tuple[str, ...]
