"""The report of an evaluation as one HTML page that opens anywhere by itself."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.data.compare import Entry, held_out
from components.data.dataset import Dataset
from components.data.report import Contender, Report
from components.data.scores import Scores, score
from components.reports.page import page, paragraph, table
from components.reports.plots import Series, scatter_chart

SCORES = ("root mean squared error", "mean squared error", "mean absolute error", "R²")


def render(report: Report, dataset: Dataset, candidate: Entry, champion: Entry | None) -> str:
    """Draw the scores, the predictions against the true values, and the residuals.

    Args:
        report: of the same models on the same dataset.
        dataset: whose held-out rows are drawn.
        candidate: the model to judge.
        champion: the present one; left out of the plots where it could not be scored.
    """
    drawn = [("candidate", candidate.model)]
    if champion and report.champion and report.champion.scores:
        drawn.append((_name(report.champion), champion.model))
    predicted = [(label, *held_out(dataset, model)[:2]) for label, model in drawn]
    unit = f" ({dataset.target.unit})" if dataset.target.unit else ""
    return page(
        f"Evaluation on {report.rows} held-out rows",
        paragraph(f"Source: {dataset.source}"),
        *_scores(report, _baseline(dataset, predicted[0][1])),
        *_charts(predicted, dataset.target.name + unit),
        paragraph(f"Data {report.fingerprint}"),
    )


def _baseline(dataset: Dataset, target: NDArray[np.float64]) -> Scores:
    """Score always answering the mean of the training rows, which any model should beat."""
    return score(target, np.full(target.shape, dataset.target_mean))


def _scores(report: Report, baseline: Scores) -> list[str]:
    contenders = [("candidate", report.candidate)]
    if report.champion:
        contenders.append((_name(report.champion), report.champion))
    rows = [(name, *_numbers(contender.scores), contender.digest[:12]) for name, contender in contenders]
    rows.append(("baseline: always the mean", *_numbers(baseline), ""))
    parts = [table(("", *SCORES, "digest"), rows)]
    if report.champion is None:
        parts.append(paragraph("There is no champion yet."))
    elif report.champion.problem:
        parts.append(paragraph(f"The champion can't be compared: {report.champion.problem}."))
    elif lacking := report.champion.unanswered:
        parts.append(
            paragraph(
                f"The champion can't answer {lacking} of these rows, because of missing values or unknown "
                "categories. It is scored with the typical value, or none of the known categories, instead."
            )
        )
    if report.champion and (contamination := report.champion.contamination):
        parts.append(
            paragraph(
                f"The champion was trained on about {contamination.share:.0%} of these rows, so its scores "
                "are too good."
            )
        )
    if (paired := report.paired) and paired.champion_mse > 0:
        improvement = paired.improvement / paired.champion_mse
        way = "lower" if improvement >= 0 else "higher"
        bound = paired.lower_bound(0.025)
        parts.append(
            paragraph(
                f"The candidate's mean squared error is {abs(improvement):.2%} {way} than the champion's. "
                f"The lower bound of the improvement at 97.5 % is {bound:.2%} "
                f"(paired t interval of {paired.count})."
            )
        )
    return parts


def _charts(
    predicted: Sequence[tuple[str, NDArray[np.float64], NDArray[np.float64]]], target: str
) -> tuple[str, str]:
    actual = predicted[0][1]
    everything = np.concatenate([values for _, _, values in predicted])
    ideal = [actual.min(), actual.max()]
    against = scatter_chart(
        [Series(true, values, label) for label, true, values in predicted],
        lines=[Series(ideal, ideal)],
        title="Predicted against actual",
        x_label=f"actual {target}",
        y_label=f"predicted {target}",
    )
    residuals = scatter_chart(
        [Series(values, true - values, label) for label, true, values in predicted],
        lines=[Series([everything.min(), everything.max()], [0.0, 0.0])],
        title="Residuals",
        x_label=f"predicted {target}",
        y_label="actual - predicted",
    )
    return against, residuals


def _numbers(scores: Scores | None) -> tuple[float | None, ...]:
    return (math.sqrt(scores.mse), scores.mse, scores.mae, scores.r2) if scores else (None,) * len(SCORES)


def _name(champion: Contender) -> str:
    return f"champion, version {champion.version}"
