"""A shard: a part of the rows of a source. Each shard is read independently of the others."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from components.data.problems import Problem


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the rows: where they are, and their position among all rows.

    It holds only what its rows depend on in other shards. While that and its source stay the same, the
    dataset folder that was made of it remains valid, whatever comes after it.

    Attributes:
        source: see ``components.data.sources.source.read``.
        first: how many rows the shards before it have.
        rows: how many rows it has; None if that is not known, where it is the only shard.
        after: how many rows come after them, as far as it matters: at most ``test_rows``, or none if others
            than the last rows are held out.
        kept_share: of the rows of all shards; None where these are all.
        cut: the value of the column ``order`` from which rows are held out; None if none of these rows are,
            or if these are all rows.
        state: of the source, see ``components.data.sources.state``; nothing is read by it.
    """

    source: str | Sequence[str]
    first: int = 0
    rows: int | None = None
    after: int = 0
    kept_share: float | None = None
    cut: float | None = None
    state: str | None = None

    @property
    def whole(self) -> bool:
        """Whether this is the only shard."""
        return self.rows is None

    def problems(self, rows: int) -> Iterator[Problem]:
        """Find a source whose number of rows changed after it was planned."""
        if self.rows is not None and rows != self.rows:
            yield Problem(f"there are {rows} rows now, and were {self.rows} when the shards were planned")

    def to_json(self) -> str:
        """Write the shard as text, because KFP's backend takes only text for an item of a loop."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))
