"""The interface of how a kind of model is fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from components.data.dataset import Dataset
from components.data.moments import Moments
from predictor.model import kinds
from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Column, Input
from predictor.model.one_hot import widths

_NO_PREDICTION = Distribution(mean=0.0, deviation=0.0, edges=(), proportions=(1.0,))


class TrainingError(ValueError):
    """The fit failed; the message says why."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training data of a model.

    Attributes:
        inputs: what the columns of X are.
        target: what y is.
        X: the training rows that were kept, shape (n, d); a category is its position among its categories.
        y: shape (n,).
        rows: how many training rows there are; more than n if not all were kept.
        moments: of all training rows, over the one-hot columns of the inputs, and of the target; None if only
            the rows are known.
        distributions: of each input.
    """

    inputs: tuple[Input, ...]
    target: Column
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    rows: int
    moments: Moments | None
    distributions: Mapping[str, Distribution]

    @classmethod
    def of(cls, dataset: Dataset) -> "TrainingData":
        """Read the training rows of a dataset."""
        X, y = dataset.train()
        rows, moments = dataset.train_rows, dataset.moments
        return cls(dataset.inputs, dataset.target, X, y, rows, moments, dataset.distributions)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(one.name for one in self.inputs)

    def of_inputs(self, names: Sequence[str]) -> "TrainingData":
        """Return the data of some inputs, in the order that is given."""
        if tuple(names) == self.names:
            return self
        places = [self.names.index(name) for name in names]
        ends = np.cumsum(widths(self.inputs))
        columns = [column for i in places for column in range(ends[i - 1] if i else 0, ends[i])]
        return replace(
            self,
            inputs=tuple(self.inputs[i] for i in places),
            X=self.X[:, places],
            moments=self.moments and self.moments.of_features(columns),
            distributions={name: self.distributions[name] for name in names},
        )

    def of_rows(self, chosen: NDArray[np.bool_]) -> "TrainingData":
        """Return the data of some of the kept rows, chosen by a mask of shape (n,)."""
        return replace(self, X=self.X[chosen], y=self.y[chosen], rows=int(chosen.sum()), moments=None)


class Curve(NamedTuple):
    """The loss over the training rows as the fit went on.

    Attributes:
        steps: numbers of steps, shape (k,), spread evenly over their logarithm.
        losses: the losses after so many steps, shape (k,).
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """Result of a fit.

    Attributes:
        parameters: what was learnt, as the kind's ``Model.of`` reads it.
        estimator: the name of what was fitted.
        metrics: by name.
        curve: of the loss; None if it is not known.
        notes: sentences for the report.
        warning: what is wrong with the fit, for people; mostly empty.
    """

    parameters: dict[str, Any]
    estimator: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: Curve | None = None
    notes: tuple[str, ...] = ()
    warning: str = ""


class Kind(Protocol):
    """A module of ``components.train.kinds``.

    It may also have ``check(parameters)``, which raises a ValueError for invalid values, so that a run is
    refused before it begins.

    Attributes:
        PARAMETERS: the parameters of a fit, with their defaults.
    """

    PARAMETERS: Mapping[str, Any]

    def fit(self, data: TrainingData, parameters: Mapping[str, Any]) -> Fit:
        """Fit the model to the training rows; the same data and parameters give the same fit.

        Raises:
            ValueError: the fit failed; the message says why.
        """


def model_of(kind: str, fit: Fit, data: TrainingData) -> Model:
    """Return the model that was fitted to some data, with its predictions of their rows as the reference.

    Raises:
        ValueError: the serving side refuses what was learnt, or ``predict`` gives another shape than (n,).
    """
    if not isinstance(fit, Fit):
        raise ValueError(f"fit of the kind {kind} returned {type(fit).__name__}; expected a Fit")
    reference = Reference(data.rows, data.distributions, _NO_PREDICTION)
    make = kinds.find(kind).of
    model = make(fit.parameters, data.inputs, data.target, reference)
    with np.errstate(over="ignore", invalid="ignore"):
        predictions = model.predict(data.X)
    if np.shape(predictions) != (len(data.X),):
        shape = np.shape(predictions)
        raise ValueError(f"predict of the kind {kind} returned the shape {shape}; expected ({len(data.X)},)")
    prediction = Distribution.of(predictions)
    return make(fit.parameters, data.inputs, data.target, replace(reference, prediction=prediction))
