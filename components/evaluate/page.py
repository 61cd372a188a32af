"""The report of an evaluation as one HTML page that opens anywhere by itself."""

from html import escape

from components.dataset import Dataset
from components.evaluate.compare import Entry, held_out
from components.evaluate.report import Contender, Report
from components.svg import Series, scatter_chart

STYLE = """
body { font-family: sans-serif; color: #222; max-width: 46em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border-bottom: 1px solid #ccc; padding: .3em .8em; text-align: right; }
th:first-child, td:first-child { text-align: left; }
code { font-size: .9em; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; }
"""


def render(report: Report, dataset: Dataset, candidate: Entry, champion: Entry | None) -> str:
    """Draw the scores, the residuals and the predictions against the true values.

    Args:
        report: of the same models on the same data set.
        dataset: whose held-out rows are drawn.
        candidate: the model to judge.
        champion: the present one; left out of the plots where it could not be scored.
    """
    drawn = [("candidate", candidate.model)]
    if champion and report.champion and report.champion.scores:
        drawn.append((f"champion, version {champion.version}", champion.model))
    pairs = [(label, *held_out(dataset, model)) for label, model in drawn]
    target = (
        dataset.target.name
        if dataset.target.unit is None
        else f"{dataset.target.name} ({dataset.target.unit})"
    )
    lowest, highest = float(pairs[0][1].min()), float(pairs[0][1].max())
    against = scatter_chart(
        [Series(true, predicted, label) for label, true, predicted in pairs],
        lines=[Series([lowest, highest], [lowest, highest])],
        title="Predicted against actual",
        x_label=f"actual {target}",
        y_label=f"predicted {target}",
    )
    residuals = scatter_chart(
        [Series(predicted, true - predicted, label) for label, true, predicted in pairs],
        lines=[Series([pairs[0][2].min(), pairs[0][2].max()], [0.0, 0.0])],
        title="Residuals",
        x_label=f"predicted {target}",
        y_label="actual - predicted",
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>Evaluation on {report.rows} held-out rows</h1>",
            _table(report),
            against,
            residuals,
            f"<p>Data <code>{escape(report.fingerprint)}</code></p>",
            "</body></html>",
        ]
    )


def _table(report: Report) -> str:
    head = (
        "<tr><th></th><th>mean squared error</th><th>mean absolute error</th><th>R²</th><th>digest</th></tr>"
    )
    rows = [_row("candidate", report.candidate)]
    if report.champion:
        rows.append(_row(f"champion, version {report.champion.version}", report.champion))
    parts = [f"<table>{head}{''.join(rows)}</table>"]
    if report.champion is None:
        parts.append("<p>There is no champion yet.</p>")
    elif report.champion.problem:
        parts.append(f"<p>The champion can't be compared: {escape(report.champion.problem)}.</p>")
    if interval := report.difference:
        parts.append(
            f"<p>Mean squared error of the candidate minus the champion's: {interval.value:.6g}, "
            f"{interval.confidence:.0%} bootstrap interval {interval.low:.6g} to {interval.high:.6g}.</p>"
        )
    return "\n".join(parts)


def _row(label: str, contender: Contender) -> str:
    scores = contender.scores
    numbers = [f"{scores.mse:.6g}", f"{scores.mae:.6g}", f"{scores.r2:.5f}"] if scores else ["not scored"] * 3
    cells = "".join(f"<td>{number}</td>" for number in numbers)
    return f"<tr><td>{escape(label)}</td>{cells}<td><code>{contender.digest[:12]}</code></td></tr>"
