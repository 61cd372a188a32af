"""Rows in JSON, by the cheapest of three readers with one answer."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from predictor.codecs import features, json_bulk, json_document, json_small, json_strict
from predictor.codecs.cost import require_cheap
from predictor.codecs.json_document import ABSENT, Array, Document
from predictor.codecs.json_strict import Where
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Inputs
from predictor.wording import plural

CheckRows = Callable[[int], None]
"""Raises if one request may not have so many rows."""

_MARKS = 1024
"""Commas or quotes beyond those that are needed, up to which something is read for a message."""
_OBJECTS = 8
"""Decoding a byte of objects of numbers takes an eighth of the time of reading it carefully."""
_DECODED = 2
"""Decoding a byte of other rows, and looking up what they mean, takes half of that time."""


class _Instance(Struct, forbid_unknown_fields=True):
    instance: Raw = ABSENT


class _Instances(Struct, forbid_unknown_fields=True):
    instances: Raw = ABSENT


class _Request(Struct):
    instances: Raw = ABSENT
    inputs: Raw = ABSENT


_FORM = '{"instances": [...]}'
_INSTANCE = msgspec.json.Decoder(_Instance)
_INSTANCES = msgspec.json.Decoder(_Instances)
_REQUEST = msgspec.json.Decoder(_Request)
_NAMES = msgspec.json.Decoder(dict[str, Raw])
_FIRST = re.compile(rb"[^ \t\r\n]")
_ENDS = {b"[": b"]", b"{": b"}"}


def instance(body: bytes | bytearray, inputs: Inputs) -> Sequence[float]:
    """Read ``{"instance": x}``, where x is a row.

    A row is a list of values, an object of values by feature name, or a value for a single feature. Further
    members of an object are passed over.

    Raises:
        InvalidInput: it is anything else; it says what and where.
    """
    few = len(body) <= json_small.SMALL or body.count(b",") <= inputs.width + _MARKS
    found = json_small.instance(body, inputs) if few else None
    if found is not None:
        return found
    value = json_document.members(_INSTANCE, body, '{"instance": ...}').instance
    if value is ABSENT:
        raise InvalidInput('the key "instance" is missing')
    text = bytes(value)
    if text[:1] in b"[{" and text.count(b",") > inputs.width + _MARKS:
        rows = json_small.rows(b"[%b]" % text, inputs)
        if rows is not None:
            return rows[0].tolist()
        wanted = plural(inputs.width, "feature")
        raise InvalidInput(f"instance: expected {wanted}, got more than {_MARKS}")
    return json_strict.row(json_strict.parse(text), inputs, "instance")


def instances(request: Request, inputs: Inputs, check_rows: CheckRows) -> NDArray[np.float64]:
    """Read ``{"instances": [x, ...]}``, a list of rows, into shape (n, d).

    Args:
        request: whose body is read.
        inputs: the inputs of the model.
        check_rows: is called with the number of rows before they are read.

    Raises:
        InvalidInput: anything else; it says what and where.
        TooCostly: it is so unusual that it would take too long on the event loop.
    """
    return _read(request, inputs, _Reader(request, inputs, check_rows).batch)


def v1(request: Request, inputs: Inputs, check_rows: CheckRows) -> NDArray[np.float64]:
    """Read a request of KServe's V1 protocol into shape (n, d), with the same arguments and errors.

    Its rows are ``instances`` or ``inputs``, where ``inputs`` can also be an object with a list of numbers
    for each feature. Other members are ignored.
    """
    return _read(request, inputs, _Reader(request, inputs, check_rows).v1)


def _read(
    request: Request, inputs: Inputs, reader: Callable[[Document], NDArray[np.float64]]
) -> NDArray[np.float64]:
    small = json_small.instances(request.body, inputs) if len(request.body) <= json_small.SMALL else None
    return json_document.read(request.body, reader) if small is None else small


class _Reader:
    """Reads the rows of a document into shape (n, d)."""

    def __init__(self, request: Request, inputs: Inputs, check_rows: CheckRows) -> None:
        self.request = request
        self.inputs = inputs
        self.check_rows = check_rows

    def batch(self, document: Document) -> NDArray[np.float64]:
        found = document.members(_INSTANCES, _FORM).instances
        return self._rows(document, found, "instances", self.inputs)

    def v1(self, document: Document) -> NDArray[np.float64]:
        found = document.members(_REQUEST, _FORM)
        if found.inputs is ABSENT:
            return self._rows(document, found.instances, "instances", self.inputs)
        if found.instances is not ABSENT:
            raise InvalidInput('expected "instances" or "inputs", got both')
        if bytes(memoryview(found.inputs)[:1]) == b"{":
            return self._columns(document, found.inputs, "inputs")
        return self._rows(document, found.inputs, "inputs", self.inputs)

    def _rows(self, document: Document, value: Raw, key: str, inputs: Inputs) -> NDArray[np.float64]:
        """Read a list of rows."""
        if value is ABSENT:
            raise InvalidInput(f'the key "{key}" is missing')
        elements = _Rows(inputs, array := document.array(value, key), self.request)
        found = json_bulk.read(
            array, elements, self.request, key, lambda most: self.check_rows(most // inputs.width)
        )
        if not len(found):
            raise InvalidInput(f"{key}: expected at least one instance, got an empty list")
        return found.reshape(-1, inputs.width)

    def _columns(self, document: Document, value: Raw, key: str) -> NDArray[np.float64]:
        """Read an object with a list of values for each feature."""
        names = self.inputs.names
        columns = json_small.decoders(self.inputs).columns(value)
        if ABSENT in columns:
            few = json_bulk.count(memoryview(value), b'"') <= 2 * len(names) + _MARKS
            found = dict(zip(names, columns, strict=True))
            sent = (
                json_document.decode(_NAMES, value) if few else [n for n in names if found[n] is not ABSENT]
            )
            features.order(list(sent), names, key, further=True)
        X = np.empty((0, len(names)))
        for i, (name, one) in enumerate(zip(names, self.inputs.columns, strict=True)):
            column = self._rows(document, columns[i], f"{key}.{name}", one)
            X = X if i else np.empty((len(column), len(names)))
            if len(column) != len(X):
                raise InvalidInput(f"{key}: the features have different numbers of rows")
            X[:, i] = column[:, 0]
        return X


class _Rows:
    """The elements of a list of rows."""

    def __init__(self, inputs: Inputs, array: Array, request: Request) -> None:
        self.inputs = inputs
        self.width = inputs.width
        self.request = request
        first = _FIRST.search(array.text, array.start, array.stop)
        self.end = _ENDS.get(first[0], b"") if first else b""
        self.counted = inputs.plain and self.end != b"}"

    def plain(self, piece: bytes) -> NDArray[np.float64] | None:
        """Read rows that are all lists, all objects, or all values."""
        if not self.counted:
            cost = len(piece) // (_OBJECTS if self.inputs.plain else _DECODED)
            require_cheap(cost, inline=self.request.inline)
            found = json_small.rows(piece, self.inputs)
            return None if found is None else found.ravel()
        if self.end == b"]":
            return json_bulk.rows(piece, self.width)
        return json_bulk.numbers(piece) if self.width == 1 and piece.find(b"[", 1) < 0 else None

    def strict(self, element: Any, where: Where) -> Sequence[float]:
        """Read a row of any form."""
        return json_strict.row(element, self.inputs, where)
