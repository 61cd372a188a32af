"""The inputs of a model: numbers, booleans and categories, and how each value becomes a number.

A row of d inputs is computed as d doubles: a number is itself, a boolean is 0 or 1, a category is its
position among the categories that the model knows. So every reader fills one array of shape (n, d), and a
model of numbers alone needs no step in between.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from predictor.errors import MissingValue, NotFinite, UnknownCategory, WrongType
from predictor.model.text import BOOLEANS, MISSING, describe
from predictor.wording import shown

InputType = Literal["number", "boolean", "category"]

UNKNOWN = -1.0
"""The number of a category that the model does not know, where it was trained to accept such."""

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the training data: an input or the target.

    Attributes:
        name: its name.
        minimum: the smallest number in the training rows, as it is computed with.
        maximum: the largest.
        unit: of a number, if it has one.
    """

    name: str
    minimum: float
    maximum: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Input(Column):
    """An input of a model.

    Attributes:
        type: what its values are.
        categories: of a category, in the order of their numbers.
        missing: the number that replaces a missing value; None if a missing value is refused.
        accepts_unknown: whether a category that is not known counts as none of them.
    """

    type: InputType = "number"
    categories: tuple[str, ...] = ()
    missing: float | None = None
    accepts_unknown: bool = False

    @property
    def plain(self) -> bool:
        """Whether its values are numbers and nothing else, so that the fastest readers can be used."""
        return self.type == "number" and self.missing is None

    @property
    def datatype(self) -> str:
        """The datatype of its tensor in the Open Inference Protocol."""
        return {"number": "FP64", "boolean": "BOOL", "category": "BYTES"}[self.type]

    @property
    def about(self) -> tuple[str, float | str, float | str]:
        """Unit, minimum and maximum for people; nothing for what is no number."""
        return (self.unit or "none", self.minimum, self.maximum) if self.type == "number" else ("", "", "")

    def filled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return numbers of this input, with missing values (NaN) replaced if the input has a replacement."""
        return values if self.missing is None else np.where(np.isnan(values), self.missing, values)

    def number(self, value: object, where: str) -> float:
        """Return the number of a value from a JSON document or an Arrow column.

        A boolean is ``true``, ``false``, 1 or 0; a category is a string or a whole number. None is a missing
        value, and so are a NaN from a column of numbers and an empty string instead of a category.

        Raises:
            InvalidInput: the value is of another type, missing or unknown; the message begins with ``where``.
        """
        if value is None or (type(value) is float and math.isnan(value)):
            return self._missing(where)
        if self.type == "boolean":
            if isinstance(value, bool | int | float) and value in (0, 1):
                return float(value)
        elif self.type == "category":
            if isinstance(value, str):
                return self._category(value, where) if value else self._missing(where)
            if isinstance(value, int) and not isinstance(value, bool):
                return self._category(str(value), where)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return finite(value)
            except ValueError as error:
                raise NotFinite(f"{where}: {error}") from None
        raise WrongType(f"{where}: expected {self._expected}, got {describe(value)}")

    def parse(self, text: str, where: str) -> float:
        """Return the number of a cell of text, such as a field of CSV; one of ``MISSING`` is a missing value.

        Raises:
            InvalidInput: the text is no such value, or missing or unknown; the message begins with ``where``.
        """
        text = text.strip()
        if not text or (text in MISSING and text not in self.categories):
            return self._missing(where)
        if self.type == "category":
            return self._category(text, where)
        if self.type == "boolean":
            if (found := BOOLEANS.get(text)) is not None:
                return found
        else:
            try:
                # Python also reads 1_000, which nobody else does.
                value = float(text) if "_" not in text else math.nan
            except ValueError:
                value = math.nan
            if math.isfinite(value):
                return value
        raise WrongType(f"{where}: expected {self._expected}, got {shown(text)}")

    def value(self, number: float) -> float | bool | str | None:
        """Return what a client sends for a number; None for an unknown category."""
        if self.type == "boolean":
            return bool(number)
        if self.type == "category":
            return self.categories[int(number)] if number >= 0 else None
        return number

    @property
    def _expected(self) -> str:
        return {"number": "a number", "boolean": "true or false", "category": "a string"}[self.type]

    def _missing(self, where: str) -> float:
        if self.missing is None:
            raise MissingValue(
                f"{where}: the value is missing, and the model was trained without missing values"
            )
        return self.missing

    def _category(self, text: str, where: str) -> float:
        try:
            return float(self.categories.index(text))
        except ValueError:
            if self.accepts_unknown:
                return UNKNOWN
        known = ", ".join(shown(category) for category in self.categories[:_LISTED])
        more = f" and {len(self.categories) - _LISTED} more" if len(self.categories) > _LISTED else ""
        raise UnknownCategory(f"{where}: unknown category {shown(text)}; the model knows {known}{more}")


class Inputs(tuple[Input, ...]):
    """The inputs of a model, in its order, and what readers of rows derive from them once.

    Attributes:
        names: their names.
        width: how many there are.
        plain: whether all are plain, so that the fastest readers can be used.
    """

    def __init__(self, inputs: Iterable[Input] = ()) -> None:  # noqa: ARG002  the tuple has taken them
        self.names = tuple(one.name for one in self)
        self.width = len(self)
        self.plain = all(one.plain for one in self)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        """Return a hash that was computed once: readers are cached by their inputs."""
        return self._hash

    @cached_property
    def columns(self) -> tuple["Inputs", ...]:
        """Each input alone."""
        return tuple(Inputs([one]) for one in self)


def of_document(document: dict[str, Any]) -> Input:
    """Read an input from the JSON of a model folder.

    Raises:
        KeyError: a member is missing.
        ValueError: a member is of another type, or contradicts another.
    """
    column, kind = column_of_document(document), document.get("type", "number")
    name = column.name
    if kind not in ("number", "boolean", "category"):
        raise ValueError(f"input {shown(name)}: unknown type {str(kind)[:40]!r}")
    categories = document.get("categories", [])
    if not isinstance(categories, list) or not all(isinstance(item, str) for item in categories):
        raise ValueError(f"input {shown(name)}: categories must be strings")
    if (kind == "category") != bool(categories) or len(set(categories)) != len(categories):
        raise ValueError(
            f"input {shown(name)}: a category needs categories that differ, other types have none"
        )
    check_text(categories)
    missing, unknown = document.get("missing"), document.get("accepts_unknown", False)
    found = Input(
        **asdict(column),
        type=kind,
        categories=tuple(categories),
        missing=None if missing is None else finite(missing),
        accepts_unknown=unknown is True,
    )
    if kind == "boolean" and found.missing not in (None, 0, 1):
        raise ValueError(f"input {shown(name)}: only 0 or 1 can stand for a missing boolean")
    if kind == "category" and found.missing not in (None, UNKNOWN, *range(len(categories))):
        raise ValueError(f"input {shown(name)}: only a category can stand for a missing one")
    return found


def column_of_document(document: dict[str, Any]) -> Column:
    """Read what an input and the target have in common.

    Raises:
        KeyError: a member is missing.
        ValueError: a member is of another type.
    """
    name, unit = document["name"], document["unit"]
    if not isinstance(name, str) or not name or not isinstance(unit, str | None):
        raise ValueError("a column needs a name, and a unit that is a string or null")
    check_text([name, unit or ""])
    return Column(name, finite(document["minimum"]), finite(document["maximum"]), unit)


def to_document(found: Input) -> dict[str, Any]:
    """Return an input as JSON, which :func:`of_document` reads; members of other types are left out."""
    document: dict[str, Any] = {**asdict(found), "categories": list(found.categories)}
    optional: dict[str, Any] = {"categories": [], "missing": None, "accepts_unknown": False}
    return {name: value for name, value in document.items() if optional.get(name, ...) != value}


def finite(value: object) -> float:
    """Return a number of a JSON document.

    Raises:
        ValueError: it is no number, or not finite as a double.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond the range of a double
        pass
    raise ValueError(f"{value!r:.40} is not a finite number")


def check_text(texts: Sequence[str]) -> None:
    """Check that texts can be encoded.

    Raises:
        ValueError: one has an unpaired surrogate.
    """
    for text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"{text!r:.80} has an unpaired surrogate")
