"""Describes the served model: as a page on which to try it, and as JSON."""

import json
from typing import Any
from urllib.parse import quote

import numpy as np

from predictor.errors import InvalidInput
from predictor.model.base import Distribution, Model, Table
from predictor.model.evaluation import Evaluation
from predictor.model.handle import LoadedModel
from predictor.model.inputs import Column, Input
from predictor.web.html import Page, data, number, render, text

LINKS = {
    "stream": "stream",
    "batch": "batch",
    "v1": "v1/models/{name}",
    "v2": "v2/models/{name}",
    "ping": "ping",
    "metrics": "metrics",
    "drift": "drift",
    "openapi": "openapi.json",
    "docs": "docs",
}


_CURVE_POINTS = 129
_CURVES = 64
"""Only the first inputs are drawn: with more of them the page would become too large."""
_LEVEL = 0.9
"""The probability of the interval on the page."""


def page(loaded: LoadedModel, *, name: str, version: str | None) -> Page:
    """Render the page on which to try a model.

    Its script calls only ``POST stream``, ``POST batch``, V1's ``:explain`` and ``GET drift``, all of them
    relative to the page.

    Args:
        loaded: the served model.
        name: its name in the paths.
        version: its version, if it has one.
    """
    model, digest, evaluation = loaded.model, loaded.digest, loaded.evaluation
    inputs, several = model.inputs, model.width > 1
    return render(
        "page.html",
        ("common.js", "numbers.js", "chart.js", "page.js", "table.js", "drift.js"),
        kind="several" if several else "single",
        name=text(name),
        target=_isolated(model.target.name),
        target_unit=f'<span class="unit">{text(model.target.unit)}</span>' if model.target.unit else "",
        summary=_isolated(model.summary()),
        version=f"version {text(version)}" if version else "no version",
        digest=text(digest),
        short_digest=text(digest[:12]),
        rows="\n".join(_row(index, feature) for index, feature in enumerate(inputs)),
        contributions="\n".join(_contribution(index, feature) for index, feature in enumerate(inputs)),
        axes="".join(
            f'<option value="{i}">{text(feature.name)}</option>' for i, feature in enumerate(inputs)
        ),
        hint=_hint(inputs),
        formula=_formula(model),
        details="\n".join(map(_table, model.details())),
        explains="" if model.explains else "hidden",
        training_rows=f"{model.reference.rows:,}",
        target_range=f"{_unit(model.target)}{_range(model.target)}",
        quality=_facts(loaded),
        body=text(_example(model)),
        columns=text(",".join(model.names)),
        data=data(_script_data(model, name, evaluation)),
    )


def index(loaded: LoadedModel | None, *, name: str, version: str | None) -> dict[str, Any]:
    """Return the response of ``GET /`` as JSON: the model, and the other paths relative to this one.

    ``status`` is what KServe's own server returns here, and its clients look for.
    """
    model = loaded.model if loaded else None
    return {
        "status": "alive",
        "name": name,
        "version": version,
        "digest": loaded.digest if loaded else None,
        "ready": model is not None,
        "features": [_input(one) for one in model.inputs] if model else [],
        "target": _column(model.target) if model else None,
        "links": {relation: path.format(name=quote(name, safe="")) for relation, path in LINKS.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "unit": column.unit, "minimum": column.minimum, "maximum": column.maximum}


def _input(one: Input) -> dict[str, Any]:
    """Describe an input for clients: its type, and the range or the categories of its values."""
    described = {"name": one.name, "type": one.type, "unit": one.unit, "optional": one.missing is not None}
    if one.type == "number":
        return {**described, "minimum": one.minimum, "maximum": one.maximum}
    return {**described, "categories": list(one.categories)} if one.type == "category" else described


def _script_data(model: Model, name: str, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the data for the script: the form starts at a typical row, the chart has a histogram."""
    distributions = [model.reference.features[one.name] for one in model.inputs]
    return {
        "explain": f"v1/models/{quote(name, safe='')}:explain" if model.explains else None,
        "typical": _typical_row(model),
        "interval": _interval(evaluation),
        "target": _column(model.target),
        "features": [
            {
                **_column(one),
                "type": one.type,
                "categories": one.categories,
                "optional": one.missing is not None,
                "whole": _is_whole(one, distribution),
                "typical": typical,
                "edges": distribution.edges,
                "proportions": distribution.proportions,
                "curve": _curve(model, i) if i < _CURVES else [],
            }
            for i, (one, typical, distribution) in enumerate(
                zip(model.inputs, model.typical, distributions, strict=True)
            )
        ],
    }


def _typical_row(model: Model) -> dict[str, Any] | None:
    """Return prediction and contributions of the typical row, against which an explanation is shown."""
    if not model.explains:
        return None
    row = np.array([model.typical])
    with np.errstate(over="ignore", invalid="ignore"):
        prediction, amounts = float(model.predict(row)[0]), model.contributions(row)[0]
    if not (np.isfinite(prediction) and np.isfinite(amounts).all()):
        return None
    return {"prediction": prediction, "contributions": dict(zip(model.names, amounts.tolist(), strict=True))}


def _interval(evaluation: Evaluation | None) -> dict[str, float] | None:
    """Return the interval that the page shows; None where too few rows were held out for one."""
    if evaluation is None:
        return None
    try:
        return {"level": _LEVEL, "half": evaluation.half_width(_LEVEL)}
    except InvalidInput:
        return None


def _is_whole(one: Input, distribution: Distribution) -> bool:
    """Return whether an input counts something, as far as its training range and quantiles show."""
    values = (one.minimum, one.maximum, *distribution.edges)
    return one.type == "number" and all(float(value).is_integer() for value in values)


def _curve(model: Model, i: int) -> list[tuple[float, float]]:
    """Return points (value, prediction) along one input, the others at their typical value.

    A boolean or a category has a point for each of its values.
    """
    one = model.inputs[i]
    with np.errstate(over="ignore", invalid="ignore"):
        if one.type == "number":
            values = np.unique(np.linspace(one.minimum, one.maximum, _CURVE_POINTS))
        else:
            values = np.arange(2.0 if one.type == "boolean" else len(one.categories))
        X = np.tile(np.array(model.typical), (len(values), 1))
        X[:, i] = values
        predictions = model.predict(X)
    finite = np.isfinite(predictions).all()
    return list(zip(values.tolist(), predictions.tolist(), strict=True)) if finite else []


def _example(model: Model) -> str:
    """Return a request for the typical row, its numbers with few digits."""
    typical = zip(model.inputs, model.typical, strict=True)
    values = [
        json.dumps(one.value(value), ensure_ascii=False) if one.type != "number" else f"{value:.4g}"
        for one, value in typical
    ]
    return f'{{"instance": [{", ".join(values)}]}}' if len(values) > 1 else f'{{"instance": {values[0]}}}'


def _row(index: int, one: Input) -> str:
    about = {"number": f"{_unit(one)}{_range(one)}", "boolean": "true or false"}.get(one.type)
    optional = " · may be missing" if one.missing is not None else ""
    head = f"""<div class="feature">
  <label for="value-{index}">{_isolated(one.name)}</label>
  <span class="about" id="about-{index}">{about or f"{len(one.categories)} categories"}{optional}</span>
"""
    note = f"""  <p class="note" id="note-{index}" hidden></p>
</div>"""
    if one.type != "number":
        values = ["false", "true"] if one.type == "boolean" else one.categories
        options = "".join(
            f'<option value="{code}">{text(value)}</option>' for code, value in enumerate(values)
        )
        missing = '<option value="">missing</option>' if one.missing is not None else ""
        return f"""{head}  <select class="value" id="value-{index}"
    aria-describedby="about-{index} note-{index}">{options}{missing}</select>
{note}"""
    required = "" if one.missing is not None else " required"
    return f"""{head}  <input class="slider" type="range" min="0" max="1000" value="500" step="1"
    id="slider-{index}"
    aria-label="{text(one.name)}, slider over the training range" aria-describedby="about-{index}">
  <input class="value" type="number" id="value-{index}" step="any" autocomplete="off"{required}
    aria-describedby="about-{index} note-{index}">
{note}"""


def _contribution(index: int, feature: Column) -> str:
    return f"""<tr><th scope="row">{_isolated(feature.name)}</th>
  <td class="bar" id="bar-{index}"></td><td id="amount-{index}"></td></tr>"""


def _facts(loaded: LoadedModel) -> str:
    """Return what held-out rows say about the model, and where it comes from, as items of a list."""
    evaluation, provenance = loaded.evaluation, loaded.provenance
    facts = {"Quality": "" if evaluation else "not evaluated on held-out rows"}
    if evaluation:
        unit = f" {_isolated(loaded.model.target.unit)}" if loaded.model.target.unit else ""
        facts |= {
            "Typical error on held-out rows": f"{number(evaluation.model.rmse)}{unit} (root mean squared)",
            "Error of always predicting the mean": f"{number(evaluation.baseline.rmse)}{unit}",
            "Held-out rows": f"{evaluation.rows:,}",
            "Data": _isolated(evaluation.source),
            "Evaluated": _date(evaluation.created),
        }
    if provenance:
        facts |= {
            "Registered": _date(provenance.created),
            "Signature": "verified" if loaded.signed else "not verified",
            "Run": _isolated(provenance.run),
            "Code": provenance.code and _isolated(provenance.code),
        }
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items() if value)


def _date(created: str) -> str:
    return f'<time datetime="{text(created)}">{text(created[:10])}</time>'


def _isolated(name: object) -> str:
    """Return a text whose direction of writing does not change that of the text around it."""
    return f"<bdi>{text(name)}</bdi>"


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{text(cell)}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row">{_isolated(first)}</th>'
        f"{''.join(f'<td>{text(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in table.rows
    )
    return f"""<div class="scroll" role="region" aria-label="{text(table.title)}" tabindex="0"><table>
    <thead><tr>{header}</tr></thead>
    <tbody>
{rows}
    </tbody>
  </table></div>"""


def _formula(model: Model) -> str:
    terms = model.formula()
    return f'<p class="formula">{" ".join(map(_isolated, terms))}</p>' if terms else ""


def _hint(inputs: tuple[Input, ...]) -> str:
    numbers = [one for one in inputs if one.type == "number"]
    if not numbers:
        return ""
    without = sum(not one.unit for one in numbers)
    if without == len(numbers):
        these = "The number has" if without == 1 else "The numbers have"
        units = f"{these} no unit: the model was trained on plain numbers, such as scaled data. "
    else:
        units = (
            "Numbers without a unit were plain numbers in training, such as scaled data. " if without else ""
        )
    ranges = "Ranges are those of the training data. Values outside are allowed and marked"
    return f"{units}{ranges}; the prediction is then an extrapolation."


def _unit(column: Column) -> str:
    return f"{_isolated(column.unit)} · " if column.unit else "no unit · "


def _range(column: Column) -> str:
    return f"{number(column.minimum)} to {number(column.maximum)}"
