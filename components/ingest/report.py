"""The report of ingest as HTML: what the dataset is, or why there is none."""

from typing import Any

from components.data.dataset import Dataset
from components.data.problems import InvalidDataError
from components.reports.page import heading, page, paragraph, table


def accepted(dataset: Dataset, note: str) -> str:
    """Describe a dataset, and what was noticed on the way."""
    rows: list[tuple[Any, ...]] = []
    for column in dataset.columns:
        seen = dataset.distributions.get(column.name)
        mean, deviation = (seen.mean, seen.deviation) if seen else (None, None)
        if column.type == "category":
            counted = zip(column.categories, column.counts, strict=True)
            listed = ", ".join(f"{category} ({count})" for category, count in counted)
            rows.append((column.name, "category", None, None, None, None, None, column.missing, listed))
            continue
        numbers = (column.minimum, mean, deviation, column.maximum)
        rows.append((column.name, column.type, column.unit, *numbers, column.missing, ""))
    target = dataset.target
    rows.append((target.name, "target", target.unit, target.minimum, None, None, target.maximum, 0, ""))
    header = (
        "name",
        "type",
        "unit",
        "least",
        "mean",
        "deviation",
        "greatest",
        "missing",
        "categories (rows)",
    )
    return page(
        f"Dataset from {dataset.source}",
        paragraph(f"{dataset.train_rows} rows to learn from, {dataset.test_rows} held out."),
        paragraph(note),
        paragraph(str(dataset.gaps)),
        heading("Columns over the training rows"),
        table(header, rows),
        heading("Settings"),
        table(("name", "value"), [*dataset.settings.items(), ("fingerprint", dataset.fingerprint)]),
    )


def refused(error: InvalidDataError) -> str:
    """List the problems, each with the first rows that have it."""
    parts = []
    for problem in error.problems:
        parts.append(heading(problem.what))
        if problem.remedy:
            parts.append(paragraph(f"What to do: {problem.remedy}."))
        if problem.rows:
            first = (
                f"; the first {len(problem.examples)} are:" if problem.rows > len(problem.examples) else ":"
            )
            parts.append(paragraph(f"In {problem.rows} rows{first}"))
            parts.append(table(("where", "value"), problem.examples))
    return page(f"{error.source} was refused", *parts)
