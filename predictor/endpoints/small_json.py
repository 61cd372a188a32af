"""Answers the plainest requests with as few objects as possible.

Each method knows one form of a body, of a row or a few. It returns the body of the response and what it
predicts, or None for whatever is not exactly that form: the handlers of ``native``, ``v1`` and ``v2``
answer all forms, and these the same way.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from orjson import dumps

from predictor.codecs import json_small
from predictor.codecs.cost import INLINE_BYTES
from predictor.codecs.json_small import REFUSED, infer
from predictor.codecs.json_small import SMALL as SMALL
from predictor.model.base import Model
from predictor.model.handle import LoadedModel, ModelHandle

Rows = Sequence[Sequence[float]]
Found = tuple[bytes, Rows, Sequence[float], str | None] | None
"""The body of a response, the rows, their predictions, and the id that the request gives itself, if any."""

SmallReader = Callable[[bytes], Found]


class SmallJson:
    """Answers for the model that is served."""

    def __init__(self, handle: ModelHandle) -> None:
        self.handle = handle
        self._loaded: LoadedModel | None = None
        self._instance: Callable[[bytes], Any]
        self._instances: Callable[[bytes], Any]
        self._row: Callable[[Any], Sequence[float]]

    def stream(self, body: bytes) -> Found:
        """Answer ``{"instance": x}``."""
        loaded = self.handle.loaded
        if loaded is not self._loaded:
            self._renew(loaded)
        if loaded is None:
            return None
        model = loaded.model
        if model.cost > INLINE_BYTES:
            return None
        try:
            row = self._row(self._instance(body).instance)
        except REFUSED:
            return None
        value = model.row(row)
        # cheaper than a call of isfinite, and not true of infinities and NaN alone
        return (b'{"prediction":%b}' % dumps(value), (row,), (value,), None) if value - value == 0 else None

    def batch(self, body: bytes) -> Found:
        """Answer ``{"instances": [x, ...]}``, of ``/batch`` and of V1."""
        loaded = self.handle.loaded
        if loaded is not self._loaded:
            self._renew(loaded)
        if loaded is None:
            return None
        try:
            rows = list(map(self._row, self._instances(body).instances))
        except REFUSED:
            return None
        values = self._predict(loaded.model, rows)
        return None if values is None else (b'{"predictions":%b}' % dumps(values), rows, values, None)

    def infer(self, body: bytes) -> Found:
        """Answer a V2 request of one tensor of doubles of shape (n, d), with nothing optional but an id."""
        loaded = self.handle.loaded
        try:
            request = infer(body)
        except REFUSED:
            return None
        (tensor,) = request.inputs
        rows, width = tensor.shape
        data = tensor.data
        if (
            loaded is None
            or not loaded.model.plain
            or width != loaded.model.width
            or rows < 0
            or rows * width != len(data)
        ):
            return None
        model = loaded.model
        table = [data[start : start + width] for start in range(0, len(data), width)]
        values = self._predict(model, table)
        if values is None:
            return None
        content = b'%b%b,"outputs":[{"name":"predictions","shape":[%d],"datatype":"FP64","data":%b}]}' % (
            _identity(self.handle.name, self.handle.version),
            b"" if request.id is None else b',"id":%b' % dumps(request.id),
            len(values),
            dumps(values),
        )
        return content, table, values, request.id

    def _predict(self, model: Model, rows: Rows) -> list[float] | None:
        """Return predictions; None if there are none, one is not finite, or they would take too long here."""
        if not 0 < len(rows) <= self.handle.max_rows or model.cost * len(rows) > INLINE_BYTES:
            return None
        values = model.few(rows)
        total = sum(values)
        return values if total - total == 0 else None

    def _renew(self, loaded: LoadedModel | None) -> None:
        """Take the decoders for another model."""
        self._loaded = loaded
        if loaded is not None:
            decoders = json_small.decoders(loaded.model.inputs)
            self._instance, self._instances, self._row = decoders.instance, decoders.instances, decoders.row


@lru_cache(maxsize=1)
def _identity(name: str, version: str | None) -> bytes:
    """Return the beginning of every V2 response: the model."""
    model = {"model_name": name} if version is None else {"model_name": name, "model_version": version}
    return dumps(model)[:-1]
