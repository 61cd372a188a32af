"""The reader of small JSON: msgspec decodes straight into the types of a model's rows."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import repeat
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Raw, Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from predictor.codecs import columns
from predictor.codecs.json_document import ABSENT
from predictor.errors import InvalidInput
from predictor.model.inputs import Inputs

T = TypeVar("T")

SMALL = 1024
"""Bytes of a body up to which this is quicker than arrays."""


class Tensor(Struct, forbid_unknown_fields=True):
    """A tensor of doubles with nothing optional."""

    name: str
    shape: tuple[int, int]
    datatype: Literal["FP64"]
    data: list[float]


class Infer(Struct, forbid_unknown_fields=True):
    """An inference request with one such tensor."""

    inputs: tuple[Tensor]
    id: str | None = None


infer: Callable[[bytes | bytearray], Infer] = msgspec.json.Decoder(Infer).decode

REFUSED = (msgspec.DecodeError, RecursionError, InvalidInput)
"""What decoding a row and looking up its values can raise."""

_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
_TYPES: dict[str, Any] = {"number": float, "boolean": bool | float, "category": str | int}


class Decoders:
    """Decoders of the rows of a model; each is made when it is first needed.

    A row is a list of values, an object by name, or a value where there is one input. A decoded row is a
    tuple, a ``Struct`` or a value; :attr:`row` and :meth:`table` turn it into numbers.

    Attributes:
        row: returns the numbers of a decoded row. It raises ``InvalidInput`` if a category is unknown or a
            boolean neither 0 nor 1.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        # Only the strict reader knows members whose names have to be escaped.
        self._has_members = not any(map(_ESCAPED.search, inputs.names))
        self._names = {f"_{i}": one.name for i, one in enumerate(inputs)}
        self._types = [_TYPES[one.type] if one.missing is None else _TYPES[one.type] | None for one in inputs]
        self.row: Callable[[Any], Sequence[float]] = _tuple if inputs.plain else self._numbers
        self._lookups = [None if one.plain else columns.values_of(one) for one in inputs]

    @cached_property
    def instance(self) -> Callable[[bytes | bytearray], Any]:
        """Decode ``{"instance": x}``, where x is a row without further members."""
        return self._decoder({"instance": self._row(further=False)}).decode

    @cached_property
    def instances(self) -> Callable[[bytes | bytearray], Any]:
        """Decode ``{"instances": [x, ...]}``."""
        return self._decoder({"instances": list[self._row(further=False)]}).decode  # type: ignore[misc]

    @cached_property
    def records(self) -> Callable[[bytes | bytearray], list[Any]]:
        """Decode ``{"instance": x}`` one after the other; their rows may have further members.

        What is skipped is not known to be UTF-8.
        """
        return self._decoder({"instance": self._row(further=True)}).decode_lines

    @cached_property
    def rows(self) -> Callable[[bytes | bytearray], list[Any]]:
        """Decode ``[x, ...]``, whose rows may have further members; they are not known to be UTF-8."""
        # mypy can't follow types that are made at run time
        return msgspec.json.Decoder(list[self._row(further=True)]).decode  # type: ignore[misc]

    @cached_property
    def columns(self) -> Callable[[Raw], tuple[Raw, ...]]:
        """Return the members of an object that are named as the inputs; absent ones are ``ABSENT``."""
        if not self._has_members:
            by_name = msgspec.json.Decoder(dict[str, Raw])
            names = self._inputs.names
            return lambda value: tuple(map(by_name.decode(value).get, names, repeat(ABSENT)))
        fields = [(f"_{i}", Raw, ABSENT) for i in range(self._inputs.width)]
        decoder = msgspec.json.Decoder(msgspec.defstruct("Columns", fields, rename=self._names))
        return lambda value: astuple(decoder.decode(value))

    def table(self, values: list[Any]) -> NDArray[np.float64] | None:
        """Return decoded rows as shape (n, d), n > 0; None if there are none.

        Raises:
            InvalidInput: a category is unknown, or a boolean neither 0 nor 1.
        """
        if not values:
            return None
        kinds = set(map(type, values))
        if self._inputs.width == 1 and not any(issubclass(kind, tuple | Struct) for kind in kinds):
            return columns.of_values(self._inputs[0], values).reshape(-1, 1)
        if kinds != {tuple}:
            values = list(map(_tuple, values))
        if self._inputs.plain:
            return np.array(values, np.float64)
        parts = zip(self._inputs, zip(*values, strict=True), strict=True)
        return np.stack([columns.of_values(one, column) for one, column in parts], axis=1)

    def _row(self, *, further: bool) -> Any:
        """Return the type of a row; an object may have ``further`` members or not."""
        row: Any = tuple[tuple(self._types)]  # type: ignore[misc]
        if self._has_members:
            fields = [(f"_{i}", kind) for i, kind in enumerate(self._types)]
            row |= msgspec.defstruct(
                "Row", fields, rename=self._names, forbid_unknown_fields=not further, gc=False
            )
        return row | self._types[0] if len(self._types) == 1 else row

    def _decoder(self, members: dict[str, Any]) -> "msgspec.json.Decoder[Any]":
        kind = msgspec.defstruct("Body", members.items(), forbid_unknown_fields=True)
        return msgspec.json.Decoder(kind)

    def _numbers(self, value: Any) -> list[float]:
        return [
            item if lookup is None else lookup[item]
            for item, lookup in zip(_tuple(value), self._lookups, strict=True)
        ]


def _tuple(value: Any) -> tuple[Any, ...]:
    """Return the values of a decoded row, in the model's order."""
    if type(value) is tuple:
        return value
    return astuple(value) if isinstance(value, Struct) else (value,)


@lru_cache(1024)
def decoders(inputs: Inputs) -> Decoders:
    """Return the decoders of the rows of a model."""
    return Decoders(inputs)


def instance(body: bytes | bytearray, inputs: Inputs) -> Sequence[float] | None:
    """Read ``{"instance": x}``; None if it is anything else."""
    return _read(inputs, lambda found: found.row(found.instance(body).instance))


def instances(body: bytes | bytearray, inputs: Inputs) -> NDArray[np.float64] | None:
    """Read ``{"instances": [x, ...]}`` into shape (n, d), n > 0; None if it is anything else."""
    return _read(inputs, lambda found: found.table(found.instances(body).instances))


def rows(text: bytes | bytearray, inputs: Inputs) -> NDArray[np.float64] | None:
    """Read ``[x, ...]`` of valid UTF-8 into shape (n, d), n > 0; None if it is anything else."""
    return _read(inputs, lambda found: found.table(found.rows(text)))


def _read(inputs: Inputs, read: Callable[[Decoders], T | None]) -> T | None:
    try:
        return read(decoders(inputs))
    except REFUSED:
        return None
