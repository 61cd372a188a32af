"""The step: read, check, split, write."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from components.data import dataset as datasets
from components.data.columns import Gaps
from components.data.dataset import Dataset
from components.data.limits import too_many_columns
from components.data.problems import InvalidDataError, Problem
from components.data.settings import Settings
from components.data.shard import Shard
from components.data.sources import source as sources
from components.data.sources.source import Rows
from components.data.split import Floats, Mask, split
from components.ingest import report as reports


def ingest(
    source: str | Sequence[str] | Shard,
    folder: str | Path,
    settings: Settings | None = None,
    report: str | Path | None = None,
) -> Dataset:
    """Make a dataset folder from a source, or from a shard of one.

    Args:
        source: where the rows are; see ``components.data.sources.source.read``.
        folder: the dataset folder to write; it must not exist.
        settings: which columns, which rows to hold out, what is allowed.
        report: an HTML file to write, whether the data is accepted or refused.

    Raises:
        SourceError: the source can't be read.
        InvalidDataError: the settings or the data are invalid; it lists every problem with its first rows.
        FileExistsError: the folder exists.
    """
    settings = settings or Settings()
    try:
        shard = source if isinstance(source, Shard) else Shard(source)
        dataset, note = _ingest(shard, folder, settings)
    except InvalidDataError as error:
        if report:
            _write_report(report, reports.refused(error))
        raise
    if report:
        _write_report(report, reports.accepted(dataset, note))
    return dataset


def _ingest(shard: Shard, folder: str | Path, settings: Settings) -> tuple[Dataset, str]:
    if problems := settings.problems():
        raise InvalidDataError("the settings", problems)
    with sources.read(shard.source, settings) as rows:
        return _write(rows, shard, folder, settings)


def _write(rows: Rows, shard: Shard, folder: str | Path, settings: Settings) -> tuple[Dataset, str]:
    frame = pd.DataFrame({name: column.numbers for name, column in rows.columns.items()}, copy=False)
    key = rows.key.numbers if rows.key else None
    repeated = frame.duplicated().to_numpy()
    if settings.duplicates == "drop":
        frame, key = frame[~repeated], None if key is None else key[~repeated]
    held_out, kept = split(settings, len(frame), shard, key)
    problems = [*rows.problems, *shard.problems(len(frame))]
    used, gaps = _gaps(frame, key, settings)
    if rows.columns:
        # pandera takes half a second to import, which a misspelt column need not wait for.
        from components.ingest.validation import key_problems, validate

        unsplit = key_problems(rows, settings)
        problems += unsplit
        # Without a split nothing can be said of training and held-out rows.
        problems += validate(rows, frame, held_out, used, settings, whole=shard.whole and not unsplit)
    learning, testing = used & ~held_out, used & held_out
    if problems := problems or _width_problems(rows, frame[learning], settings):
        raise InvalidDataError(rows.source, problems)
    columns = {name: frame[name].to_numpy() for name in (*rows.features, settings.target)}
    dataset = datasets.write(
        folder,
        {name: values[learning] for name, values in columns.items()},
        {name: values[testing] for name, values in columns.items()},
        source=rows.source,
        settings=settings.document(),
        units=settings.units,
        kept=kept[learning],
        types={name: rows.columns[name].type for name in rows.features},
        categories={name: rows.columns[name].categories for name in rows.features},
        gaps=gaps,
        groups=key[testing] if key is not None and settings.group else None,
        others=rows.others(_chosen(frame, testing, rows), settings),
    )
    return dataset, _about_repeats(repeated, held_out, settings)


def _chosen(frame: pd.DataFrame, mask: Mask, rows: Rows) -> Mask:
    """Return which rows of the source are those of the frame, which may lack repeated ones, in a mask."""
    chosen = np.zeros(sum(part.rows for part in rows.files), dtype=np.bool_)
    chosen[frame.index[mask]] = True
    return chosen


def _width_problems(rows: Rows, learning: pd.DataFrame, settings: Settings) -> list[Problem]:
    categories = [name for name in rows.features if rows.columns[name].type == "category"]
    columns = len(rows.features) + sum(max(learning[name].nunique(), 1) - 1 for name in categories)
    problem = too_many_columns(columns, len(rows.features), settings.document())
    return [problem] if problem else []


def _gaps(frame: pd.DataFrame, key: Floats | None, settings: Settings) -> tuple[Mask, Gaps]:
    """Find which rows are used, shape (n,), and count the missing values.

    The rows that are left out are found after the split, so that they move no other row to its other side.
    """
    missing = frame.isna()
    if key is not None:
        missing[settings.key] = np.isnan(key)
    lacking = missing.any(axis=1).to_numpy()
    left_out = np.zeros(len(frame), dtype=np.bool_)
    if settings.missing == "drop":
        left_out = lacking
    elif settings.missing == "mean" and settings.target in frame:
        left_out = missing[settings.target].to_numpy()
    counts = {str(name): int(count) for name, count in missing.sum().items() if count}
    return ~left_out, Gaps(counts, int(lacking.sum()), int(left_out.sum()))


def _about_repeats(repeated: Mask, held_out: Mask, settings: Settings) -> str:
    what = f"{repeated.sum()} rows repeat the features and the target of an earlier one"
    if settings.duplicates == "drop":
        return f"{what} and were left out."
    return f"{what}, {(repeated & held_out).sum()} of them held out."


def _write_report(path: str | Path, content: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
