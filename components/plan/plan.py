"""Lists the shards of a source: each file of a pattern or a list is read in a pod of its own."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import numpy as np

from components.data.problems import InvalidDataError, SourceError
from components.data.settings import Settings
from components.data.shard import Shard
from components.data.sources import source as sources
from components.data.sources.keys import Key, conflict
from components.data.split import first_held_out, kept_share

COUNTED_AT_ONCE = 8


def plan(source: str, settings: Settings) -> list[Shard]:
    """List the shards of a source, in their order.

    The rows of several files are counted, so that the same rows are held out as if they were in one file. The
    same is done for a single file of a pattern or a list, because there may be more files in the next run.
    Dropping or refusing duplicates needs all rows at once: then there is one shard, of all files.

    Args:
        source: one as ``components.data.sources.source.read`` takes it, or a JSON list of such. A pattern
            such as ``data/*.parquet`` gives a shard for each file it matches, by name.
        settings: with which the shards will be read.

    Raises:
        SourceError: a source can't be read, or there is none.
        InvalidDataError: the settings are invalid.
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
        counted = list(pool.map(lambda uri: sources.count(uri, settings), uris))
    counts = [rows for rows, _ in counted]
    cuts = _cuts(uris, [key for _, key in counted], settings) if settings.order else [None] * len(uris)
    total, share = sum(counts), kept_share(sum(counts), settings)
    mattering = 0 if settings.test_share or settings.order else settings.test_rows
    return [
        Shard(uri, end - rows, rows, min(total - end, mattering), share, cut)
        for uri, rows, end, cut in zip(uris, counts, accumulate(counts), cuts, strict=True)
    ]


def _cuts(uris: Sequence[str], keys: Sequence[Key | None], settings: Settings) -> list[float | None]:
    """Return the value of ``order`` from which the rows of each file are held out; None where none are.

    A file that was wholly before this value stays so when later ones come, and need not be read again.
    """
    known = {uri: key for uri, key in zip(uris, keys, strict=True) if key}
    if problem := conflict(settings.order, [(uri, key.kind) for uri, key in known.items()]):
        raise InvalidDataError("the sources", [problem])
    orders = [key.numbers for key in known.values()]
    cut = first_held_out(np.concatenate(orders), settings) if orders else None
    return [cut if cut is not None and key and (key.numbers >= cut).any() else None for key in keys]


def listed(source: str) -> list[str]:
    """Return the sources of a parameter that may be a JSON list; a file may have the name ``[1].csv``."""
    if not source.lstrip().startswith("["):
        return [source]
    try:
        named = json.loads(source)
    except ValueError:
        return [source]
    if not named or not all(isinstance(uri, str) and uri for uri in named):
        raise SourceError(f"a list of sources holds paths or URIs, not {source}")
    return list(named)
