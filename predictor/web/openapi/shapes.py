"""The shapes of this model's input and output, as schemas and as examples it has answered itself."""

from dataclasses import dataclass

import numpy as np

from predictor.model.artifact import Column, Distribution, LinearModel, Reference
from predictor.model.scorer import Scorer
from predictor.web.openapi.build import Json, array

_NOTHING = Distribution(mean=0.0, deviation=1.0, edges=(), proportions=(1.0,))
STAND_IN = LinearModel(
    weights=(1.0,),
    intercept=0.0,
    features=(Column("x", 0.0, 1.0),),
    target=Column("y", 0.0, 1.0),
    reference=Reference(rows=0, features={"x": _NOTHING}, prediction=_NOTHING),
)
"""What the document describes while no model can be read: y = x."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows across the training ranges, of few digits, and what the model answers to them."""

    rows: list[list[float]]
    predictions: list[float]
    contributions: list[list[float]]

    @classmethod
    def of(cls, model: LinearModel) -> "Examples":
        """A row below, at and above the middle of every feature's range."""
        rows = [
            [
                _short(feature.minimum + share * (feature.maximum - feature.minimum))
                for feature in model.features
            ]
            for share in (0.5, 0.25, 0.75)
        ]
        X = np.array(rows)
        scorer = Scorer(model)
        return cls(rows, scorer.rows(X).tolist(), scorer.contributions(X).tolist())

    @property
    def instance(self) -> float | list[float]:
        """The first row, as a plain number where there is one feature."""
        return self.rows[0][0] if len(self.rows[0]) == 1 else self.rows[0]

    @property
    def flat(self) -> list[float]:
        """All numbers of the rows, one after the other."""
        return [value for row in self.rows for value in row]


def schemas(model: LinearModel) -> dict[str, Json]:
    """The schemas of one row, of an instance and of many, with the features by name."""
    width = len(model.features)
    row = array(
        {"type": "number"},
        length=width,
        title="Row",
        description="The features in this order: "
        + "; ".join(_describe(column) for column in model.features)
        + ".",
        prefixItems=[
            {"type": "number", "title": column.name, "description": _describe(column)}
            for column in model.features
        ],
    )
    rows = array({"$ref": "#/components/schemas/Row"}, minItems=1)
    if width > 1:
        instance: Json = {"$ref": "#/components/schemas/Row"}
        instances = rows
    else:
        number = {"type": "number", "description": _describe(model.features[0])}
        instance = {"anyOf": [number, {"$ref": "#/components/schemas/Row"}]}
        instances = {"anyOf": [rows, array(number, minItems=1)]}
    return {
        "Row": row,
        "Instance": instance,
        "Instances": instances,
        "Prediction": {"type": "number", "title": model.target.name, "description": _describe(model.target)},
    }


def _describe(column: Column) -> str:
    unit = f" in {column.unit}" if column.unit else ""
    return f"{column.name}{unit}, {column.minimum:.4g} to {column.maximum:.4g} in training"


def _short(value: float) -> float:
    return float(f"{value:.3g}")
