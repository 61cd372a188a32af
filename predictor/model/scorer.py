"""Computes predictions, and the contribution of each feature to them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictor.errors import InvalidInput
from predictor.model.artifact import LinearModel
from predictor.model.inputs import Input, Inputs


class Scorer:
    """Computes predictions of a linear model, bit for bit the same for a row alone and in a batch.

    The products are added feature by feature, and then the intercept, both for one row in plain Python and
    for many in numpy. A matrix product may choose its order of additions by the size of the batch, so the
    last digits of a row's prediction could differ between ``/stream`` and ``/batch``.
    """

    def __init__(self, model: LinearModel) -> None:
        self.inputs = Inputs(Input(f.name, f.minimum, f.maximum, f.unit) for f in model.features)
        self.names = self.inputs.names
        self.width = len(model.weights)
        self.weights = model.weights
        self.intercept = model.intercept

    def row(self, values: Sequence[float]) -> float:
        """Predict one row of ``width`` numbers; returns an infinity or NaN if it overflows."""
        total = self.weights[0] * values[0]
        if self.width > 1:  # an empty loop would take a third of the time for a single feature
            for i in range(1, self.width):
                total += self.weights[i] * values[i]
        return total + self.intercept

    def rows(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows of shape (n, width); returns shape (n,).

        Raises:
            InvalidInput: a value that is not finite, or a prediction that overflows; it names the row.
        """
        if len(X) == 1 and math.isfinite(value := self.row(X[0].tolist())):
            return np.array([value])  # in a third of the time
        with np.errstate(over="ignore", invalid="ignore"):
            total = X[:, 0] * self.weights[0]
            for i in range(1, self.width):
                total += X[:, i] * self.weights[i]
            total += self.intercept
        finite = np.isfinite(total)
        if not finite.all():
            self._refuse(X, int(np.argmin(finite)))
        return total

    def contributions(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the contribution of each feature to each prediction, shape (n, width).

        Added up from the first feature to the last, and then the intercept, they give exactly the prediction.
        """
        return X * np.asarray(self.weights)

    def _refuse(self, X: NDArray[np.float64], row: int) -> None:
        where = f"instances[{row}]"
        for name, value in zip(self.names, X[row].tolist(), strict=True):
            if not np.isfinite(value):
                raise InvalidInput(f"{where}: {value} for {name} is not a finite number")
        raise InvalidInput(f"{where}: the prediction is beyond the range of a double")
