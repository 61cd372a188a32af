"""The interface of a kind of model, and what all kinds share.

A kind is a module of ``predictor.model.kinds`` with one subclass of :class:`Model`. Everything outside of
that package knows a model through this interface alone.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from predictor.errors import NotFinite
from predictor.model.drift import Distribution as Distribution  # importable beside Reference
from predictor.model.drift import fixed_edges
from predictor.model.inputs import Column, Input, Inputs
from predictor.wording import shown

_COST_AT_ONCE = 2**19
"""The cost of rows that are predicted in about a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The training data in numbers: its rows, and the distributions of the inputs and of the predictions."""

    rows: int
    features: Mapping[str, Distribution]
    prediction: Distribution


class Table(NamedTuple):
    """A table for people: what a model consists of."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


class Model(ABC):
    """A model that predicts one number from a row of inputs.

    A kind of model implements :meth:`predict`, :meth:`summary`, :meth:`parameters` and :meth:`of`; the other
    methods have defaults. Predictions must not depend on the other rows: a row's prediction is the same, bit
    for bit, alone and in a batch. A model is not changed after it was made, so threads can share it.

    Attributes:
        kind: the name of the kind, which is that of its module.
        explains: whether the kind has exact explanations, so whether it overrides :meth:`contributions`.
        passes_non_finite: whether a value that is not finite makes the prediction not finite too. Otherwise
            the values are checked before they are used.
        cost: the bytes of JSON that could be read in the time of predicting a row, so that predicting many
            rows does not block the event loop; 0 where reading a row takes longer than predicting it.
        inputs: what a row consists of, in this order; d in all.
        target: the predicted column.
        reference: the distributions of the training data.
        names: the names of the inputs.
        width: their number, d.
        plain: whether all are numbers that may not be missing.
        intercept: what contributions are added to.
        tolerance: by how much a prediction may differ from one machine to another, as a share of its size.
    """

    kind: ClassVar[str]
    explains: ClassVar[bool]
    passes_non_finite: bool = False
    cost: float = 0.0
    intercept: float = 0.0
    tolerance: float = 1e-9

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__module__.rpartition(".")[2]
        cls.explains = cls.contributions is not Model.contributions

    def __init__(self, inputs: Sequence[Input], target: Column, reference: Reference) -> None:
        """Keep what all kinds have.

        Raises:
            ValueError: there is no input, two have one name, or the reference does not describe them.
        """
        self.inputs = Inputs(inputs)
        self.target = target
        self.reference = reference
        self.names, self.width, self.plain = self.inputs.names, self.inputs.width, self.inputs.plain
        if not self.inputs:
            raise ValueError("a model needs inputs")
        if duplicates := [name for name, times in Counter(self.names).items() if times > 1]:
            raise ValueError(f"duplicate input {shown(duplicates[0])}")
        if set(reference.features) != set(self.names):
            raise ValueError("the reference describes other inputs than the model has")
        for one in self.inputs:
            edges = fixed_edges(one)
            if edges is not None and reference.features[one.name].edges != edges:
                raise ValueError(f"the reference needs a bin for each value of {shown(one.name)}")

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same kind and has the same content."""
        return (
            isinstance(other, Model)
            and (self.kind, self.inputs, self.target) == (other.kind, other.inputs, other.target)
            and (self.reference, self.parameters()) == (other.reference, other.parameters())
        )

    @abstractmethod
    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows of shape (n, d); returns shape (n,).

        A prediction that overflows is an infinity or NaN. All values are finite, unless the kind
        ``passes_non_finite``.
        """

    @abstractmethod
    def summary(self) -> str:
        """Describe the model in one sentence."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return what was learnt, as JSON; :meth:`of` reads it."""

    @classmethod
    @abstractmethod
    def of(
        cls, parameters: dict[str, Any], inputs: Sequence[Input], target: Column, reference: Reference
    ) -> Self:
        """Make a model of the parameters in a model folder, which may be hostile.

        Raises:
            KeyError: a parameter is missing.
            TypeError: a parameter is of another type.
            ValueError: a parameter contradicts another, or is not finite.
        """

    def row(self, values: Sequence[float]) -> float:
        """Predict one row of ``width`` numbers; returns an infinity or NaN if it has no finite prediction."""
        if not self.passes_non_finite and not all(map(math.isfinite, values)):
            return math.nan
        return self.few([values])[0]

    def few(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Predict a few rows of finite numbers; a prediction that overflows is an infinity or NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.predict(np.array(rows, dtype=np.float64)).tolist()

    def rows(
        self, X: NDArray[np.float64], checkpoint: Callable[[], None] = lambda: None
    ) -> NDArray[np.float64]:
        """Predict rows of shape (n, d); returns shape (n,).

        Args:
            X: the rows.
            checkpoint: is called about ten times a second, and may raise to end the work.

        Raises:
            InvalidInput: a value that is not finite, or a prediction that overflows; it names the row.
        """
        if not self.passes_non_finite and not np.isfinite(X).all():
            self._refuse(X, int(np.argmin(np.isfinite(X).all(axis=1))))
        if len(X) == 1 and math.isfinite(value := self.row(X[0].tolist())):
            return np.array([value])  # in a third of the time
        at_once = max(1, int(_COST_AT_ONCE / self.cost)) if self.cost else max(1, len(X))
        values = np.empty(len(X))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(X), at_once):
                checkpoint()
                values[start : start + at_once] = self.predict(X[start : start + at_once])
        finite = np.isfinite(values)
        if not finite.all():
            self._refuse(X, int(np.argmin(finite)))
        return values

    def contributions(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the contribution of each input to each prediction of X, shape (n, d).

        Added up from the first input to the last, and then ``intercept``, they give exactly the prediction.

        Raises:
            NotImplementedError: the kind has no exact explanation; ``explains`` is False.
        """
        raise NotImplementedError

    def formula(self) -> tuple[str, ...]:
        """Return the terms of the model as a formula for people; empty if it is too long for one."""
        return ()

    def details(self) -> tuple[Table, ...]:
        """Return what the model consists of, as tables for people."""
        return ()

    @property
    def typical(self) -> tuple[float, ...]:
        """A typical row of the training data: means of numbers, else the most frequent value."""
        return tuple(_typical(one, self.reference.features[one.name]) for one in self.inputs)

    def _refuse(self, X: NDArray[np.float64], row: int) -> None:
        where = f"instances[{row}]"
        for name, value in zip(self.names, X[row].tolist(), strict=True):
            if not math.isfinite(value):
                raise NotFinite(f"{where}: {value} for {name} is not a finite number")
        raise NotFinite(f"{where}: the prediction is beyond the range of a double")


def _typical(model_input: Input, distribution: Distribution) -> float:
    if model_input.type == "number":
        return distribution.mean
    # The first bin of a category is that of the unknown ones.
    first = 1 if model_input.type == "category" else 0
    return float(np.argmax(distribution.proportions[first:]))
