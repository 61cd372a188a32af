"""Models whose predictions are easy to compute, and folders to serve them from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from predictor.model import artifact
from predictor.model.artifact import Column, Distribution, LinearModel, Reference
from predictor.model.inputs import Input, Inputs

FEATURES = ("bmi", "bp", "s1")
TARGET = Column("target", 25.0, 346.0)


def linear_model(
    weights: Sequence[float] = (938.25,),
    intercept: float = 152.0,
    *,
    features: Sequence[Column | str] = FEATURES,
    target: Column | str = TARGET,
    reference: Reference | None = None,
) -> LinearModel:
    """Build a model; its first ``len(weights)`` features are used.

    Args:
        weights: one for each feature.
        intercept: what is predicted where all features are 0.
        features: columns, or names of columns whose range is [-0.1, 0.2].
        target: a column, or the name of one whose range is [25, 346].
        reference: the training distributions; by default 101 rows spread evenly over each column's range.
    """
    columns = tuple(
        feature if isinstance(feature, Column) else Column(feature, -0.1, 0.2)
        for feature in features[: len(weights)]
    )
    if isinstance(target, str):
        target = Column(target, TARGET.minimum, TARGET.maximum)
    reference = reference or even_reference(columns, target)
    return LinearModel(tuple(weights), intercept, columns, target, reference)


def even_reference(features: Sequence[Column], target: Column, rows: int = 101) -> Reference:
    """Build training distributions that are even over the range of each column."""
    spread = {
        column.name: Distribution.of(np.linspace(column.minimum, column.maximum, rows)) for column in features
    }
    return Reference(rows, spread, Distribution.of(np.linspace(target.minimum, target.maximum, rows)))


def write_model(folder: Path, model: LinearModel | None = None) -> Path:
    """Write a model, by default ``linear_model()``, as a new model folder; returns the folder."""
    artifact.write(model or linear_model(), folder)
    return folder


def numbers(*names: str) -> Inputs:
    """Build inputs that are numbers between -0.1 and 0.2."""
    return Inputs(Input(name, -0.1, 0.2) for name in names)
