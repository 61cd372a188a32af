"""A model card and a data card: what is known of a version and of the rows that it learned from, as Markdown.

They hold what the registry and the model folder say. What only people know, such as the intended use, has a
heading and a line that says so.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from predictor.model.base import Model
from predictor.model.inputs import Input

UNWRITTEN = "*To be written by the owner: the code does not know it.*"
SCORES = (("mse", "mean squared error"), ("mae", "mean absolute error"), ("r2", "R²"))
LISTED = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """The version that a card is about.

    Attributes:
        name: of the registered model.
        version: its number.
        status: such as champion.
        created: when it was registered, in seconds since 1970.
        digest: of the model folder.
        model: that was read from the folder.
        tags: the lineage, as the registry has it.
        reasons: of the gate's decision.
    """

    name: str
    version: int
    status: str
    created: float
    digest: str
    model: Model
    tags: Mapping[str, str]
    reasons: Sequence[str] = ()


def model_card(subject: Subject) -> str:
    """Write the model card."""
    model, tags = subject.model, subject.tags
    when = datetime.fromtimestamp(subject.created, UTC).isoformat(timespec="seconds")
    facts = (
        ("status", subject.status),
        ("kind", model.kind),
        ("registered", when),
        ("run", tags.get("model_source_id", "")),
        ("reason of the run", tags.get("reason", "")),
        ("code", tags.get("git_commit", "")),
        ("digest", subject.digest),
        ("training data", tags.get("dataset_fingerprint", "")),
    )
    scores = [(title, _number(tags[f"metric.{name}"])) for name, title in SCORES if f"metric.{name}" in tags]
    if "metric.mse" in tags:
        scores.insert(0, ("root mean squared error", _number(math.sqrt(float(tags["metric.mse"])))))
    unit = f" ({model.target.unit})" if model.target.unit else ""
    return _document(
        f"Model card: {subject.name}, version {subject.version}",
        model.summary(),
        _table(("", ""), ((name, value) for name, value in facts if value)),
        "## Intended use",
        UNWRITTEN,
        "## Inputs",
        _table(("input", "type", "unit", "values in training", "a missing value"), map(_input, model.inputs)),
        f"The prediction is {escape(model.target.name)}{escape(unit)}, which was from "
        f"{_number(model.target.minimum)} to {_number(model.target.maximum)} in training. A prediction from "
        "values outside of these ranges is an extrapolation.",
        "## Evaluation",
        f"On {tags.get('held_out_rows', 'an unknown number of')} held-out rows:",
        _table(("score", "value"), scores),
        "The gate decided:" if subject.reasons else "",
        "\n".join(f"- {escape(reason, quote=False)}" for reason in subject.reasons),
        "## Limits",
        _limits(model),
        "## Ethical considerations",
        UNWRITTEN,
    )


def data_card(subject: Subject) -> str:
    """Write the card of the data that a version learned from."""
    model, tags = subject.model, subject.tags
    facts = (
        ("source", tags.get("data_source", "")),
        ("fingerprint", tags.get("dataset_fingerprint", "")),
        ("training rows in the distributions", f"{model.reference.rows:,}"),
        ("held-out rows", tags.get("held_out_rows", "")),
        (
            "target",
            f"{model.target.name}, from {_number(model.target.minimum)} to {_number(model.target.maximum)}",
        ),
    )
    rows = (
        (*_input(one)[:4], *_spread(one, model.reference.features[one.name].deviation, typical))
        for one, typical in zip(model.inputs, model.typical, strict=True)
    )
    return _document(
        f"Data card: what {subject.name}, version {subject.version}, learned from",
        _table(("", ""), ((name, value) for name, value in facts if value)),
        "## Columns",
        _table(("column", "type", "unit", "values", "typical", "standard deviation"), rows),
        "The report of the step `ingest` says what was checked, and how many rows were left out.",
        "## Origin, consent and retention",
        UNWRITTEN,
        "## People in the data",
        UNWRITTEN,
    )


def _input(one: Input) -> tuple[str, str, str, str, str]:
    if one.type == "number":
        values = f"{_number(one.minimum)} to {_number(one.maximum)}"
    elif one.type == "boolean":
        values = "true, false"
    else:
        more = len(one.categories) - LISTED
        # In quotes: a category may hold a comma.
        listed = (json.dumps(category, ensure_ascii=False) for category in one.categories[:LISTED])
        values = ", ".join(listed) + (f" and {more} more" if more > 0 else "")
    missing = "is refused" if one.missing is None else f"counts as {_shown(one.value(one.missing))}"
    return one.name, one.type, one.unit or "", values, missing


def _spread(one: Input, deviation: float, typical: float) -> tuple[str, str]:
    return _shown(one.value(typical)), _number(deviation) if one.type == "number" else ""


def _limits(model: Model) -> str:
    exact = (
        "Contributions of the inputs are exact (`:explain`)."
        if model.explains
        else "This kind has no exact explanation of a prediction."
    )
    return (
        "Ranges and categories are those of the training rows; nothing is known beyond them. The scores hold "
        f"for rows like the held-out ones, and drift tells when rows are no longer like them. {exact}"
    )


def _shown(value: object) -> str:
    return (
        _number(value)
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _number(value: float | str) -> str:
    return f"{float(value):.6g}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Write text on one line, such as a category, which may hold anything."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _document(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", *filter(None, parts))) + "\n"
