"""The report of ingest as HTML: what the dataset is, or why there is none."""

from components.data.dataset import Dataset
from components.data.problems import InvalidDataError
from components.reports.page import heading, page, paragraph, table


def accepted(dataset: Dataset, note: str) -> str:
    """Describe a dataset, and what was noticed on the way."""
    columns = []
    for role, column in [*(("feature", feature) for feature in dataset.features), ("target", dataset.target)]:
        seen = dataset.distributions.get(column.name)
        mean, deviation = (seen.mean, seen.deviation) if seen else (None, None)
        columns.append((role, column.name, column.unit, column.minimum, mean, deviation, column.maximum))
    return page(
        f"Dataset from {dataset.source}",
        paragraph(f"{dataset.train_rows} rows to learn from, {dataset.test_rows} held out."),
        paragraph(note),
        heading("Columns over the training rows"),
        table(("role", "name", "unit", "least", "mean", "deviation", "greatest"), columns),
        heading("Settings"),
        table(("name", "value"), [*dataset.settings.items(), ("fingerprint", dataset.fingerprint)]),
    )


def refused(error: InvalidDataError) -> str:
    """List what is wrong, each with the first rows that have it."""
    parts = []
    for problem in error.problems:
        parts.append(heading(problem.what))
        if problem.rows:
            first = (
                f"; the first {len(problem.examples)} are:" if problem.rows > len(problem.examples) else ":"
            )
            parts.append(paragraph(f"In {problem.rows} rows{first}"))
            parts.append(table(("where", "value"), problem.examples))
    return page(f"{error.source} was refused", *parts)
