"""The reader of small JSON: msgspec decodes straight into the types of a model's rows."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

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


class Decoders(NamedTuple):
    """Decoders for a number of features.

    Attributes:
        instance: of ``{"instance": x}``.
        instances: of ``{"instances": [x, ...]}``.
        records: of ``{"instance": x}`` one after the other.
    """

    instance: Callable[[bytes | bytearray], Any]
    instances: Callable[[bytes | bytearray], Any]
    records: Callable[[bytes | bytearray], list[Any]]


@lru_cache
def decoders(width: int) -> Decoders:
    """Return decoders of rows: lists of ``width`` numbers, objects, and numbers where the width is 1."""
    # mypy can't follow types that are made at run time
    row: Any = tuple[(float,) * width] | dict[str, float]  # type: ignore[misc]
    row = row | float if width == 1 else row
    one = msgspec.defstruct("One", [("instance", row)], forbid_unknown_fields=True)
    many = msgspec.defstruct("Many", [("instances", list[row])], forbid_unknown_fields=True)
    single = msgspec.json.Decoder(one)
    return Decoders(single.decode, msgspec.json.Decoder(many).decode, single.decode_lines)


infer: Callable[[bytes | bytearray], Infer] = msgspec.json.Decoder(Infer).decode


def by_name(row: dict[str, float], names: Sequence[str]) -> list[float] | None:
    """Return the numbers of a row in the order of the features; None if it has other names."""
    try:
        values = [row[name] for name in names]
    except KeyError:
        return None
    return values if len(row) == len(names) else None


def instance(body: bytes | bytearray, names: Sequence[str]) -> Sequence[float] | None:
    """Read ``{"instance": x}``; None if it is anything else."""
    try:
        return row(decoders(len(names)).instance(body).instance, names)
    except (msgspec.DecodeError, RecursionError):
        return None


def instances(body: bytes | bytearray, names: Sequence[str]) -> NDArray[np.float64] | None:
    """Read ``{"instances": [x, ...]}`` into shape (n, d), n > 0; None if it is anything else."""
    try:
        return table(decoders(len(names)).instances(body).instances, names)
    except (msgspec.DecodeError, RecursionError):
        return None


def table(values: list[Any], names: Sequence[str]) -> NDArray[np.float64] | None:
    """Return decoded rows as shape (n, d), n > 0; None if there are none, or they have other names."""
    if dict in (kinds := set(map(type, values))) or len(kinds) > 1:
        values = [row(value, names) for value in values]
    return None if not values or None in values else np.array(values, np.float64).reshape(-1, len(names))


def row(value: Any, names: Sequence[str]) -> Sequence[float] | None:
    """Return a decoded row as numbers in the order of the features; None if it has other names."""
    if type(value) is tuple:
        return value
    return by_name(value, names) if type(value) is dict else (value,)
