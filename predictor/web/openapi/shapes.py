"""The described model: schemas of its rows and predictions, and examples that it computes itself."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from predictor.codecs import json_output
from predictor.model.base import Distribution, Reference
from predictor.model.handle import LoadedModel
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from predictor.web.openapi.build import Json, array, one_of, path_parameter, record, schema
from predictor.web.page import index

Value = float | bool | str | None
"""A value of an input, as clients send it."""

_LISTED = 10
_NO_DATA = Distribution(mean=0.0, deviation=1.0, edges=(), proportions=(1.0,))
PLACEHOLDER = LinearModel(
    weights=(1.0,),
    intercept=0.0,
    inputs=(Input("x", 0.0, 1.0),),
    target=Column("y", 0.0, 1.0),
    reference=Reference(rows=0, features={"x": _NO_DATA}, prediction=_NO_DATA),
)
"""The model y = x, described while no model is loaded."""


class Subject:
    """The described model, with example rows across its training ranges.

    Attributes:
        model: the model.
        name: its name in the paths.
        version: its version, if it has one.
        names: the names of the features.
        held_out_rows: how many rows the model was evaluated on.
        index: the response of ``GET /`` as JSON.
        rows: example rows as clients send them, of few digits.
        predictions: the predictions for them.
        explanations: of these, as ``:explain`` answers; None if the model does not explain.
    """

    def __init__(self, loaded: LoadedModel | None, name: str, version: str | None) -> None:
        """Choose rows in the middle, below and above the middle of every feature's range."""
        self.model = model = loaded.model if loaded else PLACEHOLDER
        self.name, self.version, self.names = name, version, list(model.names)
        self.held_out_rows = loaded.evaluation.rows if loaded and loaded.evaluation else 0
        self.index = index(loaded, name=name, version=version)
        X = np.array([[_example(one, share) for one in model.inputs] for share in (0.5, 0.25, 0.75)])
        self.rows: list[list[Value]] = [
            [one.value(number) for one, number in zip(model.inputs, numbers, strict=True)]
            for numbers in X.tolist()
        ]
        predictions = model.rows(X)
        self.predictions: list[float] = predictions.tolist()
        self.explanations = json_output.explanations(model, X, predictions) if model.explains else None

    @property
    def instance(self) -> Value | list[Value]:
        """The first row; a plain value for a single feature."""
        return self.rows[0][0] if len(self.names) == 1 else self.rows[0]

    @property
    def values(self) -> list[Value]:
        """All values of the rows, in row-major order."""
        return [value for row in self.rows for value in row]

    @property
    def parameters(self) -> list[Json]:
        """The model's name and its version as parameters of a path."""
        known = {"enum": [self.version]} if self.version else {}
        return [
            path_parameter("model", "The model's name.", schema("string", enum=[self.name])),
            path_parameter("version", "The model's version.", schema("string", **known)),
        ]


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of a row in its forms, of several, and of a prediction."""
    features, target = subject.model.inputs, subject.model.target
    values = {
        one.name: schema(value(one), title=one.name, description=_describe_input(one)) for one in features
    }
    alone = [value(features[0])] if len(features) == 1 else []
    return {
        "Row": array(
            values_of(features),
            length=len(features),
            title="Row",
            description=f"The features in this order: {'; '.join(map(_describe_input, features))}.",
            prefixItems=list(values.values()),
        ),
        "NamedRow": record(
            values,
            title="NamedRow",
            description="The features by name, in any order. Other members are ignored.",
        ),
        "Instance": one_of("Row", "NamedRow", *alone),
        "Instances": array("Instance", minItems=1),
        "Prediction": schema("number", title=target.name, description=_describe(target)),
    }


def value(one: Input) -> Json:
    """Return the schema of an input's values; null is among them where it can be missing."""
    if one.plain:
        return schema("number")
    kind = {"number": "number", "boolean": "boolean", "category": "string"}[one.type]
    null = [] if one.missing is None else [None]
    known = {"enum": [*one.categories, *null]} if one.categories and not one.accepts_unknown else {}
    return {"type": [kind, "null"] if null else kind, **known}


def values_of(features: Sequence[Input]) -> Json:
    """Return the schema of the values of any of several inputs."""
    if all(one.plain for one in features):
        return schema("number")
    kinds = (value(one)["type"] for one in features)
    every = chain.from_iterable([kind] if isinstance(kind, str) else kind for kind in kinds)
    return {"type": list(dict.fromkeys(every))}


def _describe_input(one: Input) -> str:
    if one.type == "number":
        description = _describe(one)
    elif one.type == "boolean":
        description = f"{one.name}, true or false"
    else:
        known = ", ".join(one.categories[:_LISTED]) + ", …" * (len(one.categories) > _LISTED)
        description = f"{one.name}, {'such as' if one.accepts_unknown else 'one of'} {known}"
    return description if one.missing is None else f"{description}; null if unknown"


def _example(one: Input, share: float) -> float:
    """Return the number of a value at a share of the input's range."""
    number = one.minimum + share * (one.maximum - one.minimum)
    return _short(number) if one.type == "number" else float(round(number))


def _describe(column: Column) -> str:
    unit = f" in {column.unit}" if column.unit else ""
    return f"{column.name}{unit}, {column.minimum:.4g} to {column.maximum:.4g} in training"


def _short(value: float) -> float:
    return float(f"{value:.3g}")
