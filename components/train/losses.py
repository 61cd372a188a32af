"""A sequence of losses that is computed when it is read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Path(Protocol):
    """The losses of a descent."""

    def loss(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the losses, of shape (K,), after each of K ascending numbers of steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Losses, of shape (n,), written down on the way."""

    losses: NDArray[np.float64]

    def loss(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the losses, of shape (K,), after each of K numbers of steps."""
        return self.losses[steps]


class Losses(Sequence[float]):
    """The losses after 0, 1, 2 … steps, as lazy as ``range``: a length, an index, a slice, ``numpy.asarray``.

    An array of indices reads them all in one go, where the path must be run again to read any.

    Args:
        loss: takes ascending numbers of steps of shape (K,) and returns the losses of shape (K,).
        steps: the numbers of steps that the sequence is about.
    """

    __slots__ = ("_loss", "_steps")

    def __init__(self, loss: Callable[[NDArray[np.int64]], NDArray[np.float64]], steps: range) -> None:
        self._loss, self._steps = loss, steps

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> "Losses": ...
    @overload
    def __getitem__(self, index: NDArray[np.integer[Any]]) -> NDArray[np.float64]: ...
    def __getitem__(
        self, index: int | slice | NDArray[np.integer[Any]]
    ) -> "float | Losses | NDArray[np.float64]":
        if isinstance(index, slice):
            return Losses(self._loss, self._steps[index])
        if isinstance(index, np.ndarray):
            steps, places = np.unique(
                [self._steps[position] for position in index.tolist()], return_inverse=True
            )
            return self._loss(steps.astype(np.int64))[places]
        return float(self._loss(np.array([self._steps[index]]))[0])

    def __array__(self, dtype: DTypeLike | None = None, *, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("losses are computed when they are read: there is no array to share")
        if self._steps.step > 0:
            losses = self._loss(np.array(self._steps, dtype=np.int64))
        else:
            losses = self._loss(np.array(self._steps[::-1], dtype=np.int64))[::-1]
        return losses.astype(dtype or np.float64, copy=False)

    def __iter__(self) -> Iterator[float]:
        return iter(np.asarray(self).tolist())

    def __repr__(self) -> str:
        if len(self) <= 2:
            return f"Losses({list(self)})"
        return f"Losses([{self[0]:.6g}, ..., {self[-1]:.6g}], length {len(self)})"
