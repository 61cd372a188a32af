"""The report of a training as HTML: the loss by step, the model, the search."""

from components.page import heading, page, paragraph, table
from components.svg import Series, line_chart
from components.train.training import TrainingResult


def report(result: TrainingResult) -> str:
    """Write the report as one document that loads nothing."""
    model = result.model
    curve = line_chart(
        [Series(result.steps, result.losses)],
        title="Loss by step",
        x_label="step",
        y_label=f"mean squared error of {model.target.name} over the training rows",
        log_x=True,
        log_y=True,
    )
    weights = [(feature.name, weight) for feature, weight in zip(model.features, model.weights, strict=True)]
    parts = [
        paragraph(f"Before the first step the loss is {result.metrics['initial_loss']:.6g}."),
        curve,
        heading("Metrics"),
        table(("name", "value"), result.metrics.items()),
        heading("Lineage"),
        table(("name", "value"), result.lineage().items()),
        heading("Weights"),
        table(("feature", "weight"), [*weights, ("intercept", model.intercept)]),
    ]
    if result.trials:
        rows = [
            (
                ", ".join(trial.candidate.features),
                trial.candidate.iterations,
                trial.candidate.lr,
                trial.failure or trial.mse,
                "chosen" if trial.candidate == result.parameters else "",
            )
            for trial in result.trials
        ]
        parts += [
            heading("Search"),
            table(("features", "iterations", "learning rate", "mean squared error", ""), rows),
        ]
    return page("Training", *parts)
