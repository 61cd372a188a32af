"""The described model: schemas of its rows and predictions, and examples that it computes itself."""

from dataclasses import dataclass

import numpy as np

from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from predictor.web.openapi.build import NUMBER, Json, array, path_parameter, record, ref

_NO_DATA = Distribution(mean=0.0, deviation=1.0, edges=(), proportions=(1.0,))
PLACEHOLDER = LinearModel(
    weights=(1.0,),
    intercept=0.0,
    inputs=(Input("x", 0.0, 1.0),),
    target=Column("y", 0.0, 1.0),
    reference=Reference(rows=0, features={"x": _NO_DATA}, prediction=_NO_DATA),
)
"""The model y = x, described while no model is loaded."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The described model, with example rows across its training ranges.

    Attributes:
        model: the model.
        name: its name in the paths.
        version: its version, if it has one.
        rows: example rows, of few digits.
        predictions: the predictions for them.
        contributions: the contribution of each feature to each of these; None if the model does not explain.
    """

    model: Model
    name: str
    version: str | None
    rows: list[list[float]]
    predictions: list[float]
    contributions: list[list[float]] | None

    @classmethod
    def of(cls, model: Model, name: str, version: str | None) -> "Subject":
        """Choose rows in the middle, below and above the middle of every feature's range."""
        rows = [
            [
                _short(feature.minimum + share * (feature.maximum - feature.minimum))
                for feature in model.inputs
            ]
            for share in (0.5, 0.25, 0.75)
        ]
        X = np.array(rows)
        contributions = model.contributions(X).tolist() if model.explains else None
        return cls(model, name, version, rows, model.rows(X).tolist(), contributions)

    @property
    def names(self) -> list[str]:
        """The names of the features."""
        return list(self.model.names)

    @property
    def instance(self) -> float | list[float]:
        """The first row; a plain number for a single feature."""
        return self.rows[0][0] if len(self.names) == 1 else self.rows[0]

    @property
    def values(self) -> list[float]:
        """All numbers of the rows, in row-major order."""
        return [value for row in self.rows for value in row]

    @property
    def parameter(self) -> Json:
        """The model's name as a parameter of a path."""
        return path_parameter("model", "The model's name.", schema={"type": "string", "enum": [self.name]})


def schemas(subject: Subject) -> dict[str, Json]:
    """Return the schemas of a row in its forms, of several, and of a prediction."""
    features, target = subject.model.inputs, subject.model.target
    numbers = {
        feature.name: {**NUMBER, "title": feature.name, "description": _describe(feature)}
        for feature in features
    }
    forms = [ref("Row"), ref("NamedRow"), *([NUMBER] if len(features) == 1 else [])]
    return {
        "Row": array(
            NUMBER,
            length=len(features),
            title="Row",
            description=f"The features in this order: {'; '.join(map(_describe, features))}.",
            prefixItems=list(numbers.values()),
        ),
        "NamedRow": record(
            numbers,
            title="NamedRow",
            description="The features by name, in any order.",
            additionalProperties=False,
        ),
        "Instance": {"oneOf": forms},
        "Instances": array(ref("Instance"), minItems=1),
        "Prediction": {**NUMBER, "title": target.name, "description": _describe(target)},
    }


def _describe(column: Column) -> str:
    unit = f" in {column.unit}" if column.unit else ""
    return f"{column.name}{unit}, {column.minimum:.4g} to {column.maximum:.4g} in training"


def _short(value: float) -> float:
    return float(f"{value:.3g}")
