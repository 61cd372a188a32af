"""Candidate and champion on the same held-out rows."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from components.data.dataset import Dataset
from components.data.probes import record
from components.data.report import Contender, Report
from components.data.rows import RowSketch
from components.data.scores import pair, score
from predictor.model.base import Model
from predictor.model.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that takes part: read from a verified folder, with its digest and its version if it has one."""

    model: Model
    digest: str
    version: int | None = None


def compare(dataset: Dataset, candidate: Entry, champion: Entry | None) -> Report:
    """Score both on the data set's held-out rows.

    The champion may have been trained on other columns than the candidate. It is scored when the data set
    holds all of its features and the same target, and stands in the report with its problem otherwise.

    Raises:
        ValueError: the candidate does not fit the data set it is said to come from.
    """
    if problem := mismatch(dataset, candidate.model):
        raise ValueError(f"the candidate does not belong to this data set: {problem}")
    target, predicted = held_out(dataset, candidate.model)
    contender = Contender(candidate.digest, candidate.version, score(target, predicted))
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(target.std())
    report = Report(
        dataset.fingerprint,
        dataset.test_rows,
        contender,
        held_out=sketch(dataset),
        probes=record(candidate.model, deviation),
        evaluation=_evaluation(dataset, candidate, target, predicted),
    )
    if champion is None:
        return report
    if problem := mismatch(dataset, champion.model):
        unscored = Contender(champion.digest, champion.version, problem=problem)
        return replace(report, champion=unscored)
    _, opposed = held_out(dataset, champion.model)
    return replace(
        report,
        champion=Contender(champion.digest, champion.version, score(target, opposed)),
        paired=pair(target, predicted, opposed),
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
    return RowSketch.of(dataset.test_values())


def mismatch(dataset: Dataset, model: Model) -> str | None:
    """Why the model can't be scored on the data set, if it can't."""
    if model.target.name != dataset.target.name:
        return f"it predicts {model.target.name!r}, the data set's target is {dataset.target.name!r}"
    return dataset.mismatch(model.inputs)


def held_out(dataset: Dataset, model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The true values and the model's predictions of the held-out rows, both of shape (n,)."""
    X, target = dataset.test(model.inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        return target, model.predict(X)
