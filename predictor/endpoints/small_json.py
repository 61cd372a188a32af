"""Answers the plainest requests with as few objects as possible.

Each method knows one form of a body, of a row or a few. It returns the body of the response and how many rows
that predicts, or None for whatever is not exactly that form: the handlers of ``native``, ``v1`` and ``v2``
answer all forms, and these the same way.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from orjson import dumps

from predictor.codecs import json_small
from predictor.codecs.json_small import SMALL as SMALL
from predictor.codecs.json_small import Decoders, infer
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.scorer import Scorer

Found = tuple[bytes, int] | None
"""The body of a response, and how many rows it predicts."""

SmallReader = Callable[[bytes], Found]

_REFUSED = (msgspec.DecodeError, RecursionError)


class SmallJson:
    """Answers for the model that is served."""

    def __init__(self, handle: ModelHandle) -> None:
        self.handle = handle
        self._loaded: LoadedModel | None = None
        self._decoders: Decoders

    def stream(self, body: bytes) -> Found:
        """Answer ``{"instance": x}``."""
        loaded = self.handle.loaded
        if loaded is not self._loaded:
            self._renew(loaded)
        if loaded is None:
            return None
        try:
            value = _predict(loaded.scorer, self._decoders.instance(body).instance)
        except _REFUSED:
            return None
        return None if value is None else (b'{"prediction":%b}' % dumps(value), 1)

    def batch(self, body: bytes) -> Found:
        """Answer ``{"instances": [x, ...]}``, of ``/batch`` and of V1."""
        loaded = self.handle.loaded
        if loaded is not self._loaded:
            self._renew(loaded)
        if loaded is None:
            return None
        try:
            instances = self._decoders.instances(body).instances
        except _REFUSED:
            return None
        scorer = loaded.scorer
        values = [_predict(scorer, instance) for instance in instances]
        if not values or None in values or len(values) > self.handle.max_rows:
            return None
        return b'{"predictions":%b}' % dumps(values), len(values)

    def infer(self, body: bytes) -> Found:
        """Answer a V2 request of one tensor of doubles of shape (n, d), with nothing optional but an id."""
        loaded = self.handle.loaded
        try:
            request = infer(body)
        except _REFUSED:
            return None
        (tensor,) = request.inputs
        rows, width = tensor.shape
        data = tensor.data
        if loaded is None or width != loaded.scorer.width or rows < 0 or rows * width != len(data):
            return None
        scorer = loaded.scorer
        values = [_predict(scorer, data[start : start + width]) for start in range(0, len(data), width)]
        if not values or None in values or len(values) > self.handle.max_rows:
            return None
        content = b'%b%b,"outputs":[{"name":"predictions","shape":[%d],"datatype":"FP64","data":%b}]}' % (
            _identity(self.handle.name, self.handle.version),
            b"" if request.id is None else b',"id":%b' % dumps(request.id),
            len(values),
            dumps(values),
        )
        return content, len(values)

    def _renew(self, loaded: LoadedModel | None) -> None:
        """Take the decoders for another model."""
        self._loaded = loaded
        if loaded is not None:
            self._decoders = json_small.decoders(loaded.scorer.width)


def _predict(scorer: Scorer, instance: Any) -> float | None:
    """Return the prediction for a row; None if that is none, or overflows."""
    kind = type(instance)
    if kind is float:
        instance = (instance,)
    elif kind is dict and (instance := json_small.by_name(instance, scorer.names)) is None:
        return None
    value = scorer.row(instance)
    # cheaper than a call of isfinite, and not true of infinities and NaN alone
    return value if value - value == 0 else None


@lru_cache(maxsize=1)
def _identity(name: str, version: str | None) -> bytes:
    """Return the beginning of every V2 response: the model."""
    model = {"model_name": name} if version is None else {"model_name": name, "model_version": version}
    return dumps(model)[:-1]
