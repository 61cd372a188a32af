"""Rows in JSON, by the cheapest of three readers with one answer."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from predictor.codecs import features, json_bulk, json_document, json_small, json_strict
from predictor.codecs.json_document import ABSENT, Array, Document
from predictor.codecs.json_strict import Where
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.wording import plural

CheckRows = Callable[[int], None]
"""Raises if one request may not have so many rows."""

_MARKS = 1024
"""Commas or quotes beyond those that are needed, up to which something is read for a message."""


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
_OBJECTS = msgspec.json.Decoder(list[dict[str, float]])
_COLUMNS = msgspec.json.Decoder(dict[str, Raw])
_FIRST = re.compile(rb"[^ \t\r\n]")
_ENDS = {b"[": b"]", b"{": b"}"}


def instance(body: bytes | bytearray, names: Sequence[str]) -> Sequence[float]:
    """Read ``{"instance": x}``, where x is a row.

    A row is a list of numbers, an object of numbers by feature name, or a number for a single feature.

    Raises:
        InvalidInput: it is anything else; it says what and where.
    """
    few = len(body) <= json_small.SMALL or body.count(b",") <= len(names) + _MARKS
    found = json_small.instance(body, names) if few else None
    if found is not None:
        return found
    value = json_document.members(_INSTANCE, body, '{"instance": ...}').instance
    if value is ABSENT:
        raise InvalidInput('the key "instance" is missing')
    text = bytes(value)
    if text[:1] in b"[{" and text.count(b",") > len(names) + _MARKS:
        wanted = plural(len(names), "feature")
        raise InvalidInput(f"instance: expected {wanted}, got more than {_MARKS}")
    return json_strict.row(json_strict.parse(text), names, "instance")


def instances(request: Request, names: Sequence[str], check_rows: CheckRows) -> NDArray[np.float64]:
    """Read ``{"instances": [x, ...]}``, a list of rows, into shape (n, d).

    Args:
        request: whose body is read.
        names: the features of the model.
        check_rows: is called with the number of rows before they are read.

    Raises:
        InvalidInput: anything else; it says what and where.
        TooCostly: it is so unusual that it would take too long on the event loop.
    """
    return _read(request, names, _Reader(request, names, check_rows).batch)


def v1(request: Request, names: Sequence[str], check_rows: CheckRows) -> NDArray[np.float64]:
    """Read a request of KServe's V1 protocol into shape (n, d), with the same arguments and errors.

    Its rows are ``instances`` or ``inputs``, where ``inputs`` can also be an object with a list of numbers
    for each feature. Other members are ignored.
    """
    return _read(request, names, _Reader(request, names, check_rows).v1)


def _read(
    request: Request, names: Sequence[str], reader: Callable[[Document], NDArray[np.float64]]
) -> NDArray[np.float64]:
    small = json_small.instances(request.body, names) if len(request.body) <= json_small.SMALL else None
    return json_document.read(request.body, reader) if small is None else small


class _Reader:
    """Reads the rows of a document into shape (n, d)."""

    def __init__(self, request: Request, names: Sequence[str], check_rows: CheckRows) -> None:
        self.request = request
        self.names = names
        self.check_rows = check_rows

    def batch(self, document: Document) -> NDArray[np.float64]:
        return self._rows(document, document.members(_INSTANCES, _FORM).instances, "instances", self.names)

    def v1(self, document: Document) -> NDArray[np.float64]:
        found = document.members(_REQUEST, _FORM)
        if found.inputs is ABSENT:
            return self._rows(document, found.instances, "instances", self.names)
        if found.instances is not ABSENT:
            raise InvalidInput('expected "instances" or "inputs", got both')
        if bytes(memoryview(found.inputs)[:1]) == b"{":
            return self._columns(document, found.inputs, "inputs")
        return self._rows(document, found.inputs, "inputs", self.names)

    def _rows(self, document: Document, value: Raw, key: str, names: Sequence[str]) -> NDArray[np.float64]:
        """Read a list of rows."""
        if value is ABSENT:
            raise InvalidInput(f'the key "{key}" is missing')
        elements = _Rows(names, array := document.array(value, key))
        found = json_bulk.read(
            array, elements, self.request, key, lambda most: self.check_rows(most // len(names))
        )
        if not len(found):
            raise InvalidInput(f"{key}: expected at least one instance, got an empty list")
        return found.reshape(-1, len(names))

    def _columns(self, document: Document, value: Raw, key: str) -> NDArray[np.float64]:
        """Read an object with a list of numbers for each feature."""
        if json_bulk.count(memoryview(value), b'"') > 2 * len(self.names) + _MARKS:
            raise InvalidInput(f"{key}: more than {_MARKS // 2} names")
        columns = json_document.decode(_COLUMNS, value)
        features.order(list(columns), self.names, key)
        X = np.empty((0, len(self.names)))
        for i, name in enumerate(self.names):
            column = self._rows(document, columns[name], f"{key}.{name}", [name])
            X = X if i else np.empty((len(column), len(self.names)))
            if len(column) != len(X):
                raise InvalidInput(f"{key}: the features have different numbers of rows")
            X[:, i] = column[:, 0]
        return X


class _Rows:
    """The elements of a list of rows."""

    def __init__(self, names: Sequence[str], array: Array) -> None:
        self.names = names
        self.width = len(names)
        first = _FIRST.search(array.text, array.start, array.stop)
        self.end = _ENDS.get(first[0], b"") if first else b""

    def plain(self, piece: bytes) -> NDArray[np.float64] | None:
        """Read rows that are all lists, all objects, or all numbers."""
        if self.end == b"]":
            return json_bulk.rows(piece, self.width)
        if self.end == b"}":
            return self._objects(piece)
        return json_bulk.numbers(piece) if self.width == 1 and piece.find(b"[", 1) < 0 else None

    def strict(self, element: Any, where: Where) -> Sequence[float]:
        """Read a row of any form."""
        return json_strict.row(element, self.names, where)

    def _objects(self, piece: bytes) -> NDArray[np.float64] | None:
        try:
            rows = _OBJECTS.decode(piece)
            values = [row[name] for row in rows for name in self.names]
        except (msgspec.DecodeError, RecursionError, KeyError):
            return None
        return np.array(values) if set(map(len, rows)) == {self.width} else None
