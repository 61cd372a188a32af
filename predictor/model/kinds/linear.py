"""The linear model: y = intercept + the contribution of each input.

A number or a boolean contributes its value times a weight. A category contributes its own effect, which is
the weight of its indicator: the same as one-hot columns, without making them. A category that the model does
not know has the effect 0.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from predictor.model.base import Model, Reference, Table
from predictor.model.inputs import Column, Input, finite
from predictor.wording import shown

Weight = float | tuple[float, ...]


class LinearModel(Model):
    """A linear model, which computes bit for bit the same for a row alone and in a batch.

    The contributions are added input by input, and then the intercept, both for one row in plain Python and
    for many in numpy. A matrix product may choose its order of additions by the size of the batch, so the
    last digits of a row's prediction could differ between ``/stream`` and ``/batch``.

    Args:
        weights: for each input its weight, in units of the target per unit of the input; for a category the
            effects of its categories, in units of the target.
        intercept: in units of the target.
        inputs: in the order of the weights.
        target: the predicted column.
        reference: the distributions of the training data.

    Raises:
        ValueError: the weights do not fit the inputs.
    """

    def __init__(
        self,
        weights: Sequence[Weight],
        intercept: float,
        inputs: Sequence[Input],
        target: Column,
        reference: Reference,
    ) -> None:
        super().__init__(inputs, target, reference)
        self.weights: tuple[Any, ...] = tuple(weights)
        self.intercept = intercept
        if self.width != len(self.weights):
            raise ValueError(f"{self.width} inputs, but {len(self.weights)} weights")
        for one, weight in zip(self.inputs, self.weights, strict=True):
            effects = len(weight) if isinstance(weight, tuple) else 0
            if effects != len(one.categories):
                raise ValueError(
                    f"input {shown(one.name)} has {len(one.categories)} categories and {effects} effects"
                )
        # A category's number picks its effect; -1, of one that is not known, picks the 0 at the end.
        self._effects = {i: (*w, 0.0) for i, w in enumerate(self.weights) if isinstance(w, tuple)}
        self.passes_non_finite = not self._effects
        self._single = self.width == 1 and not self._effects

    def row(self, values: Sequence[float]) -> float:
        """Predict one row of ``width`` numbers; returns an infinity or NaN if it overflows."""
        if self._single:  # an empty loop would take a third of the time
            return self.weights[0] * values[0] + self.intercept
        if self._effects:
            return self._row_with_categories(values)
        total = self.weights[0] * values[0]
        for i in range(1, self.width):
            total += self.weights[i] * values[i]
        return total + self.intercept

    def few(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Predict a few rows, in plain Python: quicker than to make an array of them."""
        return [self.row(row) for row in rows]

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows of shape (n, d); returns shape (n,)."""
        total = self._contribution(X, 0)
        for i in range(1, self.width):
            total += self._contribution(X, i)
        return total + self.intercept

    def contributions(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the contribution of each input to each prediction, shape (n, d)."""
        return np.column_stack([self._contribution(X, i) for i in range(self.width)])

    def summary(self) -> str:
        """Describe the model in one sentence."""
        if self._single:
            return f"A straight line from {self.names[0]} to {self.target.name}."
        return f"A weighted sum of {self.width} input{'s' * (self.width > 1)}, for {self.target.name}."

    def formula(self) -> tuple[str, ...]:
        """Return the terms as text; a category's is its name."""
        terms = [f"{self.target.name} ="]
        for name, weight in zip(self.names, self.weights, strict=True):
            sign = "+ " if len(terms) > 1 else ""
            if isinstance(weight, tuple):
                terms.append(f"{sign}effect of {name}")
            else:
                terms.append(f"{'− ' if weight < 0 else sign}{abs(weight):.6g} × {name}")  # noqa: RUF001
        return (*terms, f"{'−' if self.intercept < 0 else '+'} {abs(self.intercept):.6g}")  # noqa: RUF001

    def details(self) -> tuple[Table, ...]:
        """Return the table of the weights."""
        rows: list[tuple[str | float, ...]] = []
        for one, weight in zip(self.inputs, self.weights, strict=True):
            if isinstance(weight, tuple):
                rows += [
                    (f"{one.name}: {c}", w, "", "", "") for c, w in zip(one.categories, weight, strict=True)
                ]
            else:
                rows.append((one.name, weight, *one.about))
        header = ("Input", "Weight", "Unit", "Minimum", "Maximum")
        return (
            Table("Weights and training ranges", header, (*rows, ("Intercept", self.intercept, "", "", ""))),
        )

    def parameters(self) -> dict[str, Any]:
        """Return weights and intercept."""
        return {"weights": list(self.weights), "intercept": self.intercept}

    @classmethod
    def of(
        cls, parameters: dict[str, Any], inputs: Sequence[Input], target: Column, reference: Reference
    ) -> Self:
        """Read weights and intercept."""
        weights = [
            tuple(map(finite, weight)) if isinstance(weight, list) else finite(weight)
            for weight in parameters["weights"]
        ]
        return cls(weights, finite(parameters["intercept"]), inputs, target, reference)

    def _row_with_categories(self, values: Sequence[float]) -> float:
        effects = self._effects
        total = 0.0
        for i, (weight, value) in enumerate(zip(self.weights, values, strict=True)):
            part = effects[i][int(value)] if i in effects else weight * value
            total = total + part if i else part
        return total + self.intercept

    def _contribution(self, X: NDArray[np.float64], i: int) -> NDArray[np.float64]:
        """Return what input i contributes to each row, shape (n,)."""
        if i in self._effects:
            return np.asarray(self._effects[i])[X[:, i].astype(np.intp)]
        return X[:, i] * self.weights[i]
