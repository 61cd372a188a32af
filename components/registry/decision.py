"""The decision on a candidate, as the registry keeps it with the version."""

import json
from dataclasses import asdict, dataclass

from components.data.rows import RowSketch


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate becomes the champion, and why.

    Attributes:
        promote: whether it does.
        reasons: with the numbers that were used.
        judged_on: the held-out rows on which candidate and champion were compared; none where they were not.
        warning: why the comparison is not to be relied on, and what to do; none where it is.
    """

    promote: bool
    reasons: tuple[str, ...]
    judged_on: RowSketch | None = None
    warning: str | None = None

    def to_json(self, **more: str) -> str:
        """Write the decision, with further entries, for a tag of the version."""
        entries = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({**entries, **more})

    @classmethod
    def from_json(cls, text: str) -> "Decision":
        """Read the output of ``to_json``, also that of earlier releases, which has no rows."""
        document = json.loads(text)
        rows = document.get("judged_on")
        return cls(
            promote=document["promote"],
            reasons=tuple(document["reasons"]),
            judged_on=RowSketch.of_document(rows) if rows else None,
            warning=document.get("warning"),
        )
