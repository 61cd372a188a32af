"""The report of a training as HTML: the loss by step, the model, the search."""

from collections.abc import Sequence

from components.reports.page import heading, page, paragraph, table
from components.reports.svg import Series, line_chart
from components.train.training import TrainingResult


def report(result: TrainingResult) -> str:
    """Write the report as one document that loads nothing."""
    model = result.model
    curve = line_chart(
        [Series(result.steps, result.losses)],
        title="Loss by step",
        x_label="step",
        y_label="loss over the training rows",
        log_x=True,
        log_y=True,
    )
    parts = [
        *([paragraph(f"Warning: {result.warning}.")] if result.warning else []),
        paragraph(
            f"The loss fell from {result.metrics['initial_loss']:.6g} to {result.metrics['final_loss']:.6g}, "
            f"which is at most {result.metrics['loss_above_minimum']:.3g} above its minimum."
        ),
        *([paragraph(_about_unresolved(result.unresolved))] if result.unresolved else []),
        curve,
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


def _about_unresolved(names: Sequence[str]) -> str:
    return (
        f"The data do not determine each weight of {', '.join(names)}: some combination of these features "
        "does not vary by more than rounding. The weights have no part along it. That changes no prediction "
        "for rows in which these features go together as they do in training."
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
