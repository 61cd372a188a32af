"""Describes the served model: as a page on which to try it, and as JSON."""

from typing import Any
from urllib.parse import quote

import numpy as np

from predictor.model.base import Model, Table
from predictor.model.inputs import Column, Input
from predictor.web.html import Page, data, number, render, text

LINKS = {
    "stream": "stream",
    "batch": "batch",
    "v1": "v1/models/{name}",
    "v2": "v2/models/{name}",
    "ping": "ping",
    "metrics": "metrics",
    "openapi": "openapi.json",
    "docs": "docs",
}


_CURVE_POINTS = 65
_CURVES = 64
"""Of more inputs none is drawn but the first: the page would become too large."""


def page(model: Model, *, name: str, version: str | None, digest: str) -> Page:
    """Render the page on which to try ``model``.

    Its script calls only ``POST stream`` and V1's ``:explain``, relative to the page.

    Args:
        model: the served model.
        name: its name in the paths.
        version: its version, if it has one.
        digest: the SHA-256 of its folder.
    """
    inputs, several = model.inputs, model.width > 1
    return render(
        "page.html",
        ("common.js", "chart.js", "page.js"),
        kind="several" if several else "single",
        name=text(name),
        target=_name(model.target),
        target_unit=f'<span class="unit">{text(model.target.unit)}</span>' if model.target.unit else "",
        summary=f"<bdi>{text(model.summary())}</bdi>",
        version=f"version {text(version)}" if version else "no version",
        digest=text(digest),
        short_digest=text(digest[:12]),
        rows="\n".join(_row(index, feature) for index, feature in enumerate(inputs)),
        contributions="\n".join(_contribution(index, feature) for index, feature in enumerate(inputs)),
        axes="".join(
            f'<option value="{i}">{text(feature.name)}</option>' for i, feature in enumerate(inputs)
        ),
        units=_units(inputs),
        formula=_formula(model),
        details="\n".join(map(_table, model.details())),
        explains="" if model.explains else "hidden",
        training_rows=f"{model.reference.rows:,}",
        target_range=f"{_unit(model.target)}{_range(model.target)}",
        body=text(_example(model)),
        data=data(_script_data(model, name)),
    )


def index(model: Model | None, *, name: str, version: str | None, digest: str | None) -> dict[str, Any]:
    """Return the response of ``GET /`` as JSON: the model, and the other paths relative to this one.

    ``status`` is what KServe's own server returns here, and its clients look for.
    """
    return {
        "status": "alive",
        "name": name,
        "version": version,
        "digest": digest,
        "ready": model is not None,
        "features": [_column(feature) for feature in model.inputs] if model else [],
        "target": _column(model.target) if model else None,
        "links": {relation: path.format(name=quote(name, safe="")) for relation, path in LINKS.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "unit": column.unit, "minimum": column.minimum, "maximum": column.maximum}


def _script_data(model: Model, name: str) -> dict[str, Any]:
    """Return the data for the script: the form starts at a typical row, the chart has a histogram."""
    distributions = [model.reference.features[one.name] for one in model.inputs]
    return {
        "explain": f"v1/models/{quote(name, safe='')}:explain" if model.explains else None,
        "target": _column(model.target),
        "features": [
            {
                **_column(one),
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


def _curve(model: Model, i: int) -> list[tuple[float, float]]:
    """Return points (value, prediction) along one input, the others at their typical value."""
    one = model.inputs[i]
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.unique(np.linspace(one.minimum, one.maximum, _CURVE_POINTS))
        X = np.tile(np.array(model.typical), (len(values), 1))
        X[:, i] = values
        predictions = model.predict(X)
    return (
        list(zip(values.tolist(), predictions.tolist(), strict=True))
        if np.isfinite(predictions).all()
        else []
    )


def _example(model: Model) -> str:
    values = [f"{value:.4g}" for value in model.typical]
    return f'{{"instance": [{", ".join(values)}]}}' if len(values) > 1 else f'{{"instance": {values[0]}}}'


def _row(index: int, feature: Column) -> str:
    return f"""<div class="feature">
  <label for="value-{index}">{_name(feature)}</label>
  <span class="about" id="about-{index}">{_unit(feature)}{_range(feature)}</span>
  <input class="slider" type="range" id="slider-{index}" min="0" max="1000" value="500" step="1"
    aria-label="{text(feature.name)}, slider over the training range" aria-describedby="about-{index}">
  <input class="value" type="number" id="value-{index}" step="any" autocomplete="off" required
    aria-describedby="about-{index} note-{index}">
  <p class="note" id="note-{index}" hidden></p>
</div>"""


def _contribution(index: int, feature: Column) -> str:
    return f"""<tr><th scope="row">{_name(feature)}</th>
  <td class="bar" id="bar-{index}"></td><td id="amount-{index}"></td></tr>"""


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{text(cell)}</th>' for cell in table.header)
    rows = "\n".join(
        f'<tr><th scope="row"><bdi>{text(first)}</bdi></th>'
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
    return f'<p class="formula">{" ".join(f"<bdi>{text(term)}</bdi>" for term in terms)}</p>' if terms else ""


def _units(features: tuple[Input, ...]) -> str:
    without = sum(not feature.unit for feature in features)
    if not without:
        return ""
    if without == len(features):
        these = "The feature has" if without == 1 else "The features have"
        return f"{these} no unit: the model was trained on plain numbers, such as scaled data."
    return "Features without a unit were plain numbers in training, such as scaled data."


def _name(column: Column) -> str:
    return f"<bdi>{text(column.name)}</bdi>"


def _unit(column: Column) -> str:
    return f"<bdi>{text(column.unit)}</bdi> · " if column.unit else "no unit · "


def _range(column: Column) -> str:
    return f"{number(column.minimum)} to {number(column.maximum)}"
