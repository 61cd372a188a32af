"""Columns of values as the numbers of an input, many at a time.

Each value gives what ``Input.number`` or ``Input.parse`` gives for it alone; these two are also asked about
every value that is not known in advance. Errors from here may lack the place: who needs it reads the values
one by one.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictor.errors import WrongType
from predictor.model.inputs import UNKNOWN, Input
from predictor.model.text import BOOLEANS, MISSING

_CACHED = 1024
"""Inputs whose known values are cached: enough for a model with so many."""

Place = Callable[[int], str]
"""Returns the place of a value, for messages, from its index."""


class Known(dict[Any, float]):
    """The numbers of an input's values: those that are known in advance, and by a call any other."""

    def __init__(self, known: dict[Any, float], other: Callable[[Any], float]) -> None:
        super().__init__(known)
        self._other = other

    def __missing__(self, value: Any) -> float:
        return self._other(value)


@lru_cache(_CACHED)
def values_of(one: Input) -> Known:
    """Return the numbers of an input's values, as JSON has them."""
    known: dict[Any, float] = {True: 1.0, False: 0.0} if one.type == "boolean" else _positions(one)
    missing = {} if one.missing is None else {None: one.missing}
    return Known({**known, **missing}, lambda value: one.number(value, ""))


@lru_cache(_CACHED)
def cells_of(one: Input) -> Known:
    """Return the numbers of an input's cells of text."""
    known = BOOLEANS if one.type == "boolean" else _positions(one)
    missing = {} if one.missing is None else dict.fromkeys(MISSING.difference(known), one.missing)
    return Known({**known, **missing}, lambda text: one.parse(text, ""))


def _positions(one: Input) -> dict[Any, float]:
    known: dict[Any, float] = {text: float(position) for position, text in enumerate(one.categories)}
    known.pop("", None)
    return known if one.missing is None or one.type == "number" else {**known, "": one.missing}


def of_values(one: Input, values: Sequence[Any]) -> NDArray[np.float64]:
    """Return the numbers of values of JSON, shape (n,); those of a number must be floats or None.

    Raises:
        InvalidInput: one does not fit.
    """
    if one.type == "number":
        return of_numbers(one, np.array(values, np.float64))  # None becomes NaN
    return np.fromiter(map(values_of(one).__getitem__, values), np.float64, len(values))


def of_cells(one: Input, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the numbers of cells of text, shape (n,).

    Raises:
        InvalidInput: one does not fit.
    """
    if one.type != "number":
        return np.fromiter(map(cells_of(one).__getitem__, texts), np.float64, len(texts))
    if one.missing is not None:
        filler = repr(one.missing)
        texts = [filler if (stripped := text.strip()) in MISSING else stripped for text in texts]
    try:
        found = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        found = np.array([math.nan])
    if np.isfinite(found).all() and not any("_" in text for text in texts):
        return found
    raise WrongType("expected numbers")


def of_numbers(one: Input, numbers: NDArray[Any], place: Place = str) -> NDArray[np.float64]:
    """Return the numbers of an input from a column of numbers, shape (n,); a NaN is a missing value.

    Args:
        one: the input.
        numbers: of any type; a category's must be integers.
        place: returns the place of a number, for messages.

    Raises:
        InvalidInput: one does not fit; the message begins with its place.
    """
    if one.type == "category":
        return _categories(one, numbers, place)
    found = numbers.astype(np.float64, copy=False)
    lacking = np.isnan(found)
    if lacking.any():
        found = np.where(lacking, one.number(None, place(int(np.argmax(lacking)))), found)
    if one.type == "boolean":
        wrong = (found != 0) & (found != 1)
        if wrong.any():
            position = int(np.argmax(wrong))
            one.number(numbers[position].item(), place(position))
    return found


def _categories(one: Input, numbers: NDArray[Any], place: Place) -> NDArray[np.float64]:
    """Return the numbers of categories that are whole numbers, or NaN for a missing one."""
    distinct, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    found = np.empty(len(distinct))
    for i in np.argsort(first).tolist():  # so that the first one that is wrong is named
        value = distinct[i].item()
        whole = None if math.isnan(value) else int(value)
        found[i] = one.number(whole, place(int(first[i])))
    return found[inverse]


class Texts(NamedTuple):
    """Texts in UTF-8 within an array of bytes.

    Attributes:
        content: the bytes, shape (m,).
        starts: where each text begins, shape (n,); within the content, as the ends are.
        lengths: how many bytes it has, shape (n,).
    """

    content: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def text(self, position: int) -> str:
        """Return one of them."""
        start = int(self.starts[position])
        stop = start + int(self.lengths[position])
        return self.content[start:stop].tobytes().decode(errors="replace")


REFUSED = -2.0
"""Instead of the number of a text that the input refuses."""


def codes(one: Input, texts: Texts) -> NDArray[np.float64]:
    """Return the numbers of texts as categories of an input, shape (n,); ``REFUSED`` where there is none.

    Texts of one length are looked up together: a Python object for each would take five times as long.
    """
    unknown = UNKNOWN if one.accepts_unknown else REFUSED
    found = np.full(len(texts.lengths), unknown)
    found[texts.lengths == 0] = REFUSED if one.missing is None else one.missing
    for length, (known, numbers) in _by_length(one).items():
        rows = np.flatnonzero(texts.lengths == length)
        if not rows.size:
            continue
        characters = texts.content[texts.starts[rows, np.newaxis] + np.arange(length)]
        keys = characters.view(f"S{length}").ravel()
        nearest = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        found[rows] = np.where(known[nearest] == keys, numbers[nearest], unknown)
    return found


@lru_cache(_CACHED)
def _by_length(one: Input) -> dict[int, tuple[NDArray[np.bytes_], NDArray[np.float64]]]:
    """Return the categories by the length of their texts: the texts in order, and their numbers."""
    groups: dict[int, list[tuple[bytes, int]]] = {}
    for position, category in enumerate(one.categories):
        if text := category.encode():
            groups.setdefault(len(text), []).append((text, position))
    return {
        length: (
            np.array([text for text, _ in sorted(group)], f"S{length}"),
            np.array([position for _, position in sorted(group)], np.float64),
        )
        for length, group in groups.items()
    }


def of_texts(one: Input, texts: Texts, place: Place) -> NDArray[np.float64]:
    """Return the numbers of texts as categories of an input, shape (n,).

    Raises:
        InvalidInput: one does not fit; the message begins with its place.
    """
    found = codes(one, texts)
    if REFUSED in found:
        position = int(np.argmax(found == REFUSED))
        one.number(texts.text(position), place(position))
    return found
