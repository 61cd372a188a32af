"""The report of a training as HTML: the loss by step, the model, the search."""

from components.reports.page import heading, page, paragraph, table
from components.reports.plots import Series, line_chart
from components.train.kind import Curve
from components.train.training import TrainingResult


def report(result: TrainingResult) -> str:
    """Write the report as one document that loads nothing."""
    model = result.model
    parts = [
        paragraph(f"Source: {result.source}. {result.gaps}"),
        *([paragraph(f"Warning: {result.fit.warning}.")] if result.fit.warning else []),
        paragraph(model.summary()),
        *map(paragraph, result.fit.notes),
        *([_curve(result.fit.curve)] if result.fit.curve else []),
        heading("Metrics"),
        table(("name", "value"), result.metrics.items()),
        heading("Lineage"),
        table(("name", "value"), result.lineage().items()),
    ]
    for found in model.details():
        parts += [heading(found.title), table(found.header, found.rows)]
    if result.trials:
        parts += [heading("Search"), _search(result)]
    return page("Training", *parts)


def _curve(curve: Curve) -> str:
    return line_chart(
        [Series(curve.steps, curve.losses)],
        title="Loss by step",
        x_label="step",
        y_label="loss over the training rows",
        log_x=True,
        log_y=True,
    )


def _search(result: TrainingResult) -> str:
    """Write a table of the trials, with a column for each parameter that differs among them."""
    first = result.trials[0].candidate.parameters
    varied = [
        name
        for name in first
        if any(trial.candidate.parameters[name] != first[name] for trial in result.trials)
    ]
    rows = [
        (
            ", ".join(trial.candidate.features),
            *(trial.candidate.parameters[name] for name in varied),
            trial.failure or trial.mse,
            "chosen" if trial.candidate == result.candidate else "",
        )
        for trial in result.trials
    ]
    return table(("features", *varied, "mean squared error on the rows kept aside", ""), rows)
