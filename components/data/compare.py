"""Compares candidate and champion on the same held-out rows."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from components.data import contamination
from components.data.contamination import TrainingRows
from components.data.dataset import Dataset
from components.data.probes import record
from components.data.report import Contender, Report
from components.data.rows import RowSketch
from components.data.scores import pair, score
from predictor.model.base import Model
from predictor.model.evaluation import Evaluation
from predictor.model.inputs import UNKNOWN


@dataclass(frozen=True, slots=True)
class Entry:
    """A model to compare, read from a verified folder.

    Attributes:
        model: of the folder.
        digest: of the folder.
        version: its number, if it has one.
        training: which rows it was trained on, where that is known.
    """

    model: Model
    digest: str
    version: int | None = None
    training: TrainingRows | None = None


def compare(dataset: Dataset, candidate: Entry, champion: Entry | None) -> Report:
    """Score both on the dataset's held-out rows.

    The champion may have been trained on other columns than the candidate. It is scored if it has the same
    target, and the source has all of its features. Otherwise the report says why it is not.

    Raises:
        ValueError: the candidate does not fit the dataset.
    """
    if problem := mismatch(dataset, candidate.model):
        raise ValueError(f"the candidate does not belong to this dataset: {problem}")
    target, predicted, _ = held_out(dataset, candidate.model)
    groups = dataset.groups()
    contender = Contender(candidate.digest, candidate.version, score(target, predicted, groups))
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(target.std())
    report = Report(
        dataset.fingerprint,
        dataset.test_rows,
        contender,
        held_out=sketch(dataset),
        probes=record(candidate.model, deviation),
        evaluation=_evaluation(dataset, candidate, target, predicted),
        training=TrainingRows.of(dataset),
    )
    if champion is None:
        return report
    if problem := mismatch(dataset, champion.model):
        unscored = Contender(champion.digest, champion.version, problem=problem)
        return replace(report, champion=unscored)
    _, opposed, unanswered = held_out(dataset, champion.model)
    return replace(
        report,
        champion=Contender(
            champion.digest,
            champion.version,
            score(target, opposed, groups),
            unanswered=unanswered,
            contamination=contamination.find(dataset, champion.training) if champion.training else None,
        ),
        paired=pair(target, predicted, opposed, groups),
    )


def _evaluation(
    dataset: Dataset, entry: Entry, actual: NDArray[np.float64], predicted: NDArray[np.float64]
) -> Evaluation | None:
    """Evaluate a model for its folder; None if its errors are beyond the range of a double."""
    try:
        return Evaluation.of(
            actual,
            predicted,
            mean=dataset.target_mean,
            digest=entry.digest,
            source=_without_folders(dataset.source),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    except ValueError:
        return None


def _without_folders(source: str) -> str:
    """Leave the folders of local paths out: the page shows the source to everybody."""
    return re.sub(r"(?<![\w:/])/(?:[^\s/]+/)+", "", source)


def sketch(dataset: Dataset) -> RowSketch:
    """Sketch the held-out rows, so that a later comparison on the same rows is recognised."""
    return RowSketch.of(dataset.test_values(), dataset.types)


def sketch_like(dataset: Dataset, earlier: RowSketch) -> RowSketch | None:
    """Sketch the held-out rows by the columns of an earlier sketch; None if they are not all there."""
    if not earlier.types:
        return None
    types = dict(zip(earlier.columns, earlier.types, strict=True))
    values = dataset.test_values_as(types)
    return None if values is None else RowSketch.of(values, types)


def mismatch(dataset: Dataset, model: Model) -> str | None:
    """Return why the model can't be scored on the dataset, if it can't."""
    if model.target.name != dataset.target.name:
        return f"it predicts {model.target.name!r}, the dataset's target is {dataset.target.name!r}"
    return dataset.mismatch(model.inputs)


def held_out(dataset: Dataset, model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return the true values and the model's predictions of the held-out rows, and how many it can't answer.

    A champion may have no replacement for a value that is missing here, or refuse a category that it does not
    know: its server would refuse the row. The typical value takes the place of the missing one, and the
    category counts as none of the known ones, so that both models are scored on the same rows.

    Returns:
        Two arrays of shape (n,), and the number of rows with such values.
    """
    X, target = dataset.test(model.inputs)
    missing = np.isnan(X)
    strict = np.array([one.type == "category" and not one.accepts_unknown for one in model.inputs])
    with np.errstate(over="ignore", invalid="ignore"):
        predicted = model.predict(np.where(missing, model.typical, X))
    return target, predicted, int((missing | (strict & (X == UNKNOWN))).any(axis=1).sum())
