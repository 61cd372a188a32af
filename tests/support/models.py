"""Models whose predictions are easy to compute, and folders to serve them from."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from predictor.model import artifact, evaluation
from predictor.model.base import Distribution, Model, Reference
from predictor.model.evaluation import Evaluation
from predictor.model.inputs import Column, Input, Inputs
from predictor.model.kinds.linear import LinearModel, Weight
from predictor.model.kinds.trees import TreeModel

FEATURES = ("bmi", "bp", "s1")
TARGET = Column("target", 25.0, 346.0)


def linear_model(
    weights: Sequence[Weight] = (938.25,),
    intercept: float = 152.0,
    *,
    features: Sequence[Input | str] = FEATURES,
    target: Column | str = TARGET,
    reference: Reference | None = None,
) -> LinearModel:
    """Build a model; its first ``len(weights)`` features are used.

    Args:
        weights: one for each feature.
        intercept: what is predicted where all features are 0.
        features: inputs, or names of numbers whose range is [-0.1, 0.2].
        target: a column, or the name of one whose range is [25, 346].
        reference: the training distributions; by default 101 rows spread evenly over each column's range.
    """
    inputs = tuple(
        feature if isinstance(feature, Input) else Input(feature, -0.1, 0.2)
        for feature in features[: len(weights)]
    )
    if isinstance(target, str):
        target = Column(target, TARGET.minimum, TARGET.maximum)
    reference = reference or even_reference(inputs, target)
    return LinearModel(tuple(weights), intercept, inputs, target, reference)


def tree_model(trees: int = 1, inputs: Sequence[Input] = (Input("bmi", -0.1, 0.2),)) -> TreeModel:
    """Build trees that each predict 1, or 3 where the first input is above 2."""
    nodes = {
        "baseline": 1.0 - trees,
        "sizes": [3] * trees,
        "columns": [0, -1, -1] * trees,
        "left": [1, 0, 0] * trees,
        "values": [2.0, 1.0, 3.0] * trees,
    }
    return TreeModel.of(nodes, inputs, TARGET, even_reference(inputs, TARGET))


def even_reference(inputs: Sequence[Input], target: Column, rows: int = 101) -> Reference:
    """Build training distributions that are even over the range of each input."""
    spread = {
        one.name: Distribution.of_input(one, np.linspace(one.minimum, one.maximum, rows)) for one in inputs
    }
    return Reference(rows, spread, Distribution.of(np.linspace(target.minimum, target.maximum, rows)))


def weights_of(model: Model) -> tuple[Any, ...]:
    """Return the weights of a linear model."""
    assert isinstance(model, LinearModel)
    return model.weights


def scaled(model: Model, factor: float, change: float = 0.0) -> LinearModel:
    """Return a linear model of numbers whose weights are ``factor`` x those of another, plus ``change``."""
    weights = [factor * weight + change for weight in weights_of(model)]
    return LinearModel(weights, model.intercept, model.inputs, model.target, model.reference)


def write_model(folder: Path, model: Model | None = None) -> Path:
    """Write a model, by default ``linear_model()``, as a new model folder; returns the folder."""
    artifact.write(model or linear_model(), folder)
    return folder


def write_evaluation(folder: Path, rows: int = 20) -> None:
    """Write an evaluation into a model folder: on held-out rows whose errors are 0, 1, 2 and so on."""
    digest, created = artifact.read(folder)[1], "2026-01-31T00:00:00+00:00"
    errors = np.arange(float(rows))
    found = Evaluation.of(errors, np.zeros(rows), mean=0.0, digest=digest, source="", created=created)
    (folder / artifact.EVALUATION_FILE).write_bytes(evaluation.encode(found))


MIXED = Inputs(
    [
        Input("age", 18, 90, unit="years"),
        Input("income", 0, 9, missing=0.5),
        Input("member", 0, 1, type="boolean", missing=1.0),
        Input("city", 0, 2, type="category", categories=("Bern", "Zürich", "Genf, Nord"), missing=2.0),
        Input("code", 0, 1, type="category", categories=("x", "7"), accepts_unknown=True),
    ]
)
"""Inputs of every type: all but the first and the last may be missing, and the last may be unknown."""


def mixed_model() -> LinearModel:
    """Build y = age / 2 + 2 income - 3 member + the effects of city and code + 100."""
    return linear_model((0.5, 2.0, -3.0, (1.0, 2.0, 4.0), (10.0, 20.0)), 100.0, features=MIXED)


@lru_cache
def numbers(*names: str) -> Inputs:
    """Build inputs that are numbers between -0.1 and 0.2."""
    return Inputs(Input(name, -0.1, 0.2) for name in names)
