"""Describes the served model: as a page on which to try it, and as JSON."""

from typing import Any
from urllib.parse import quote

from predictor.model.artifact import Column, LinearModel
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


def page(model: LinearModel, *, name: str, version: str | None, digest: str) -> Page:
    """Render the page on which to try ``model``. Its script calls only ``POST stream``, relative to the page.

    Args:
        model: the served model.
        name: its name in the paths.
        version: its version, if it has one.
        digest: the SHA-256 of its folder.
    """
    features, several = model.features, len(model.features) > 1
    return render(
        "page.html",
        ("common.js", "chart.js", "page.js"),
        kind="several" if several else "single",
        name=text(name),
        target=_name(model.target),
        target_unit=f'<span class="unit">{text(model.target.unit)}</span>' if model.target.unit else "",
        summary=_summary(model),
        version=f"version {text(version)}" if version else "no version",
        digest=text(digest),
        short_digest=text(digest[:12]),
        rows="\n".join(_row(index, feature) for index, feature in enumerate(features)),
        contributions="\n".join(_contribution(index, feature) for index, feature in enumerate(features)),
        axes="".join(
            f'<option value="{i}">{text(feature.name)}</option>' for i, feature in enumerate(features)
        ),
        units=_units(features),
        formula=_formula(model),
        table="\n".join(
            _table_row(feature, weight) for feature, weight in zip(features, model.weights, strict=True)
        ),
        intercept=text(repr(model.intercept)),
        training_rows=f"{model.reference.rows:,}",
        target_range=f"{_unit(model.target)}{_range(model.target)}",
        body=text(_example(model)),
        data=data(_script_data(model)),
    )


def index(model: LinearModel | None, *, name: str, version: str | None, digest: str | None) -> dict[str, Any]:
    """Return the response of ``GET /`` as JSON: the model, and the other paths relative to this one.

    ``status`` is what KServe's own server returns here, and its clients look for.
    """
    return {
        "status": "alive",
        "name": name,
        "version": version,
        "digest": digest,
        "ready": model is not None,
        "features": [_column(feature) for feature in model.features] if model else [],
        "target": _column(model.target) if model else None,
        "links": {relation: path.format(name=quote(name, safe="")) for relation, path in LINKS.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "unit": column.unit, "minimum": column.minimum, "maximum": column.maximum}


def _script_data(model: LinearModel) -> dict[str, Any]:
    """Return the data for the script: the form starts at the training means, the chart has a histogram."""
    distributions = [model.reference.features[feature.name] for feature in model.features]
    return {
        "intercept": model.intercept,
        "target": _column(model.target),
        "features": [
            {
                **_column(feature),
                "weight": weight,
                "mean": distribution.mean,
                "edges": distribution.edges,
                "proportions": distribution.proportions,
            }
            for feature, weight, distribution in zip(
                model.features, model.weights, distributions, strict=True
            )
        ],
    }


def _example(model: LinearModel) -> str:
    values = [f"{model.reference.features[feature.name].mean:.4g}" for feature in model.features]
    return f'{{"instance": [{", ".join(values)}]}}' if len(values) > 1 else f'{{"instance": {values[0]}}}'


def _summary(model: LinearModel) -> str:
    if len(model.features) == 1:
        return f"A straight line from {_name(model.features[0])} to {_name(model.target)}."
    return f"A weighted sum of {len(model.features)} features, for {_name(model.target)}."


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


def _table_row(feature: Column, weight: float) -> str:
    cells = (repr(weight), feature.unit or "none", repr(feature.minimum), repr(feature.maximum))
    return (
        f'<tr><th scope="row">{_name(feature)}</th>{"".join(f"<td>{text(cell)}</td>" for cell in cells)}</tr>'
    )


def _formula(model: LinearModel) -> str:
    terms = [
        (weight, f" × {_name(feature)}")  # noqa: RUF001
        for feature, weight in zip(model.features, model.weights, strict=True)
    ]
    spans = [f"<span>{_name(model.target)} =</span>"]
    for i, (amount, of) in enumerate([*terms, (model.intercept, "")]):
        sign = "− " if amount < 0 else "+ " if i else ""  # noqa: RUF001
        spans.append(f"<span>{sign}<b>{number(abs(amount), 6)}</b>{of}</span>")
    return " ".join(spans)


def _units(features: tuple[Column, ...]) -> str:
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
