"""Planning: one source may be many files, each a shard that is read by itself, in a pod of its own."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.data.shard import Shard
from components.data.sources import source as sources

COUNTED_AT_ONCE = 8


def plan(source: str, settings: Settings) -> list[Shard]:
    """List the shards of a source, in their order.

    The rows of several are counted, so that the same rows are held out as if they stood in one file. So are
    those of a single file that a pattern or a list names, for there may be more of them the next time. To
    drop or refuse duplicates all rows must be seen at once: then there is one shard, of all files.

    Args:
        source: one as ``components.data.sources.source.read`` takes it, or a JSON list of such. A pattern
            such as ``data/*.parquet`` stands for a shard for each file it matches, by name.
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
        counts = list(pool.map(lambda uri: sources.count(uri, settings), uris))
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
