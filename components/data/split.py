"""Which rows are held out, and which training rows are kept; the same in one piece and in shards.

Rows are held out by their position (the last ones, or a random share), by the value of a column (the largest
ones), or by groups. Groups and positions are chosen at random by a hash and by position alone: a row that was
held out once stays so when others come after it.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from components.data.settings import Settings
from components.data.shard import Shard

# Random numbers are drawn in blocks of so many, so that a shard begins with the block that it needs.
BLOCK_DRAWS = 4096

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def split(settings: Settings, rows: int, shard: Shard, key: Floats | None = None) -> tuple[Mask, Mask]:
    """Choose the rows to hold out, and the training rows to keep.

    Args:
        settings: say how.
        rows: how many there are here.
        shard: which of all rows they are.
        key: shape (n,), values of the column ``settings.key`` if it is given: the larger ones of an order are
            held out, and the groups below ``test_share``. NaN is never held out.

    Returns:
        Two masks of shape (n,): held out, and kept.
    """
    if key is None:
        held_out = _by_position(settings, rows, shard)
    elif settings.group:
        held_out = key < settings.test_share
    else:
        cut = first_held_out(key, settings) if shard.whole else shard.cut
        held_out = key >= (math.inf if cut is None else cut)
    share = kept_share(rows, settings) if shard.kept_share is None else shard.kept_share
    return held_out, _chosen(share, rows, shard.first, (settings.seed, 1)) & ~held_out


def kept_share(total: int, settings: Settings) -> float:
    """Return the share of all rows that is kept: all, or the half, quarter … that is at most ``kept_rows``.

    It stays the same while the rows double, and so does what was kept of earlier ones.
    """
    share = 1.0
    while total * share > settings.kept_rows:
        share /= 2
    return share


def first_held_out(order: Floats, settings: Settings) -> float | None:
    """Return the value from which rows are held out, so that equal values are on one side; None without any.

    Args:
        order: shape (n,), of all rows; NaN where there is no value.
        settings: say how many rows are held out at least.
    """
    values = order[~np.isnan(order)]
    if not values.size:
        return None
    wanted = round(settings.test_share * values.size) if settings.test_share else settings.test_rows
    position = max(values.size - max(wanted, 1), 0)
    return float(np.partition(values, position)[position])


def group_draw(text: str, seed: int) -> float:
    """Return the random number of a group, from 0 to 1, which depends on its name and the seed alone."""
    digest = hashlib.sha256(f"{seed}\0{text}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _by_position(settings: Settings, rows: int, shard: Shard) -> Mask:
    if settings.test_share:
        return _chosen(settings.test_share, rows, shard.first, (settings.seed, 0))
    return np.arange(rows) >= rows + shard.after - settings.test_rows


def _chosen(share: float, rows: int, first: int, key: tuple[int, int]) -> Mask:
    """Choose a share of the rows from ``first`` on: of every 1 / share successive ones one, at random.

    Returns:
        A mask of shape (rows,). A row is chosen or not by its position alone.
    """
    if share > 1 / 2:
        return ~_chosen(1 - share, rows, first, key)
    mask = np.zeros(rows, dtype=np.bool_)
    if share > 0:
        # One stratum more on either side: rounding may move an edge by a row.
        start, stop = max(int(first * share) - 1, 0), int((first + rows) * share) + 2
        edges = np.ceil(np.round(np.arange(start, stop + 1) / share, 6))
        picks = edges[:-1] + np.floor(_uniform(start, stop, key) * np.diff(edges)) - first
        mask[picks[(picks >= 0) & (picks < rows)].astype(np.intp)] = True
    return mask


def _uniform(start: int, stop: int, key: tuple[int, int]) -> Floats:
    """Return the numbers from ``start`` to ``stop`` of an endless sequence of random ones."""
    blocks = range(start // BLOCK_DRAWS, -(-stop // BLOCK_DRAWS))
    # Numpy promises the same stream in all releases for this generator, not for default_rng.
    drawn = [np.random.RandomState([*key, block]).random_sample(BLOCK_DRAWS) for block in blocks]
    return np.concatenate(drawn)[start - blocks.start * BLOCK_DRAWS :][: stop - start]
