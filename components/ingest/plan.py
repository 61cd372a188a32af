"""Planning: one source may be many files, each a shard that is read by itself, in a pod of its own."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import accumulate

from components.ingest import source as sources
from components.ingest.problems import InvalidDataError, Problem, SourceError
from components.ingest.settings import Settings

COUNTED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """Where some of the rows are, and which they are among all.

    It says of the other shards what its own rows depend on, and no more: while that and its source stay the
    same, what was read of it holds, whatever comes after it.

    Attributes:
        source: see ``components.ingest.source.read``.
        first: how many rows stand before them, in the shards before.
        rows: how many they are; None if that isn't known, where they are all.
        after: how many stand after them, as far as it matters; see ``Settings.split``.
        kept_share: of the rows of all shards; None where these are all.
        state: of the source, see ``components.ingest.state``; nothing is read by it.
    """

    source: str | Sequence[str]
    first: int = 0
    rows: int | None = None
    after: int = 0
    kept_share: float | None = None
    state: str | None = None

    @property
    def whole(self) -> bool:
        """Whether these are all rows there are."""
        return self.rows is None

    def problems(self, rows: int) -> Iterator[Problem]:
        """Find a source that has not as many rows as were counted."""
        if self.rows is not None and rows != self.rows:
            yield Problem(f"there are {rows} rows now, and were {self.rows} when the shards were planned")

    def to_json(self) -> str:
        """Write what is known of the shard; KFP's backend takes only text for an item of a loop."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> "Shard":
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


def plan(source: str, settings: Settings) -> list[Shard]:
    """List the shards of a source, in their order.

    The rows of several are counted, so that the same rows are held out as if they stood in one file. So are
    those of a single file that a pattern or a list names, for there may be more of them the next time. To
    drop or refuse duplicates all rows must be seen at once: then there is one shard, of all files.

    Args:
        source: one as ``components.ingest.source.read`` takes it, or a JSON list of such. A pattern such as
            ``data/*.parquet`` stands for a shard for each file it matches, by name.
        settings: with which the shards will be read.

    Raises:
        SourceError: a source can't be read, or there is none.
        InvalidDataError: the settings make no sense.
    """
    if problems := settings.problems():
        raise InvalidDataError("the settings", problems)
    named = listed(source)
    uris = [uri for name in named for uri in sources.expand(name)]
    if named == [source] and not sources.is_pattern(source):
        return [Shard(uris[0])]
    if settings.duplicates != "report":
        return [Shard(uris if len(uris) > 1 else uris[0])]
    with ThreadPoolExecutor(COUNTED_AT_ONCE) as pool:
        counts = list(pool.map(lambda uri: sources.count(uri, settings.columns), uris))
    total, kept_share = sum(counts), settings.kept_share(sum(counts))
    mattering = 0 if settings.test_share else settings.test_rows
    return [
        Shard(uri, end - rows, rows, min(total - end, mattering), kept_share)
        for uri, rows, end in zip(uris, counts, accumulate(counts), strict=True)
    ]


def listed(source: str) -> list[str]:
    """Read a source that may be a JSON list of several; a file may really be called ``[1].csv``."""
    if not source.lstrip().startswith("["):
        return [source]
    try:
        named = json.loads(source)
    except ValueError:
        return [source]
    if not named or not all(isinstance(uri, str) and uri for uri in named):
        raise SourceError(f"a list of sources holds paths or URIs, not {source}")
    return list(named)
