"""Tensors that hold one input each, for models whose inputs are not all plain numbers.

BYTES in binary are a length of four bytes, little-endian, before each text, as in Triton's binary tensor data
extension.
"""

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from predictor.codecs import columns, features, json_strict, tensors
from predictor.codecs.columns import Texts
from predictor.codecs.cost import require_cheap
from predictor.codecs.json_strict import Where
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from predictor.wording import shown

_LENGTH = struct.Struct("<I")
_COST = 4
"""A text of four bytes or more takes as long as reading a byte carefully."""
_DECODED = 2
"""Decoding a byte of JSON, and looking up what it means, takes half of the time of reading it carefully."""
_AT_ONCE = 2**14
"""Texts that are read between two looks at the deadline."""

_TEXT = str | int | None
_BOOLEAN = bool | float | None
_NUMBER = float | None
_DECODERS: dict[str, "msgspec.json.Decoder[list[Any]]"] = {
    "O": msgspec.json.Decoder(list[_TEXT | list[_TEXT]]),
    "b": msgspec.json.Decoder(list[_BOOLEAN | list[_BOOLEAN]]),
    "f": msgspec.json.Decoder(list[_NUMBER | list[_NUMBER]]),
}


def assign(heads: Sequence[tuple[str, tuple[int, ...]]], inputs: Inputs) -> list[Input | None]:
    """Return the input that each tensor holds, by their names and shapes.

    Returns:
        None for a tensor of all inputs, and for every tensor of a model whose inputs are plain: that is put
        together when the numbers are there.

    Raises:
        InvalidInput: names are missing, unknown or repeated; or one tensor can't hold all inputs.
    """
    if inputs.plain:
        return [None] * len(heads)
    if tensors.is_whole(heads, inputs.width):
        category = next((one.name for one in inputs if one.type == "category"), None)
        if inputs.width == 1:
            return list(inputs)
        if category is None:
            return [None]
        wanted = f"a tensor for each feature, as {shown(category)} is a category"
        raise InvalidInput(f"inputs: expected {wanted}, got one for all")
    order = features.order([name for name, _ in heads], inputs.names, "inputs")
    found: list[Input | None] = [None] * len(heads)
    for one, position in zip(inputs, order, strict=True):
        found[position] = one
    return found


def from_bytes(
    content: memoryview,
    one: Input,
    dtype: np.dtype[Any],
    where: str,
    request: Request,
    check_rows: Callable[[int], None],
) -> NDArray[np.float64]:
    """Read the raw bytes of a tensor.

    Raises:
        InvalidInput: they are malformed, or a value does not fit the input.
        TooCostly: so many texts would take too long on the event loop.
    """
    if dtype.kind != "O":
        check_rows(len(content) // dtype.itemsize)
        return numbers(tensors.from_bytes(content, dtype, where), one, where)
    require_cheap(len(content) // _COST, inline=request.inline)
    return from_texts(content, _texts(content, where), one, where, request, check_rows)


def numbers(values: NDArray[np.float64], one: Input, where: str) -> NDArray[np.float64]:
    """Return the numbers of an input from those of a tensor, where a NaN is a missing value.

    Raises:
        InvalidInput: one does not fit the input.
    """
    return columns.of_numbers(one, values, partial(_place, where))


def from_texts(
    content: memoryview,
    places: Iterable[tuple[int, int]],
    one: Input,
    where: str,
    request: Request,
    check_rows: Callable[[int], None],
) -> NDArray[np.float64]:
    """Return the numbers of texts as categories of an input.

    Args:
        content: the bytes in which the texts are.
        places: where each begins and how long it is, within the content.
        one: the input.
        where: the place of the tensor, for messages.
        request: the request, for its deadline.
        check_rows: is called with the number of texts so far.

    Raises:
        InvalidInput: a text does not fit the input.
    """
    starts, lengths = array("q"), array("q")  # they need less memory than lists
    for start, length in places:
        if len(starts) % _AT_ONCE == 0:
            request.checkpoint()
            check_rows(len(starts))
        starts.append(start)
        lengths.append(length)
    check_rows(len(starts))
    texts = Texts(
        np.frombuffer(content, np.uint8), np.frombuffer(starts, np.int64), np.frombuffer(lengths, np.int64)
    )
    return columns.of_texts(one, texts, partial(_place, where))


def _texts(content: memoryview, where: str) -> Iterable[tuple[int, int]]:
    position, end = 0, len(content)
    while position < end:
        start = position + _LENGTH.size
        length = _LENGTH.unpack_from(content, position)[0] if start <= end else end
        position = start + length
        if position > end:
            raise InvalidInput(f"{where}: expected a length of four bytes before each text, and the text")
        yield start, length


def _place(where: str, position: int) -> str:
    return f"{where}[{position}]"


class Values:
    """The elements of a tensor's data: values of an input, which may be in lists of one."""

    counted = False
    end = b""
    width = 1

    def __init__(self, one: Input, dtype: np.dtype[Any], request: Request) -> None:
        self.one = one
        self.dtype = dtype
        self.request = request
        self.decoder = _DECODERS[dtype.kind if dtype.kind in _DECODERS else "f"]

    def plain(self, piece: bytes) -> NDArray[np.float64] | None:
        """Read values, or lists of one."""
        require_cheap(len(piece) // _DECODED, inline=self.request.inline)
        try:
            values = self.decoder.decode(piece)
            if list in set(map(type, values)):
                values = [value[0] if type(value) is list and len(value) == 1 else value for value in values]
            if self.dtype.kind == "O":
                return columns.of_values(self.one, values)
            found = np.array(values, np.float64)
            return columns.of_numbers(self.one, tensors.from_numbers(found, self.dtype, ""))
        except (msgspec.DecodeError, RecursionError, InvalidInput, TypeError, ValueError):
            return None  # lists that are left are no numbers and no keys

    def strict(self, element: Any, where: Where) -> list[float]:
        """Read a value, or values that are nested in any way."""
        return [self._number(value, at) for value, at in json_strict.nested(element, where)]

    def _number(self, value: Any, where: Where) -> float:
        if value is None or self.dtype.kind == "O":
            return json_strict.of_input(self.one, value, lambda: json_strict.place(where))
        number = tensors.from_json_value(value, self.dtype, where)
        sent = int(number) if self.one.type == "category" else number
        return self.one.number(sent, json_strict.place(where))
