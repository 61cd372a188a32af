"""The plainest requests, answered with no object more than they need.

Each method knows one form of a body, of a row or a few of plain numbers. It returns the body of the answer
and how many rows that predicts, or None for whatever is not exactly what it knows: the full readers of
``inference`` and ``v2`` decide about that, and give the same answers to what they know too.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from orjson import dumps, loads

from predictor.codecs import tensors
from predictor.codecs.json_bulk import NUMBERS
from predictor.model.handle import ModelHandle
from predictor.model.scorer import Scorer

Found = tuple[bytes, int] | None
"""The body of an answer, and how many rows it predicts."""

SmallReader = Callable[[bytes], Found]

SMALL = 1024
"""Bytes of a body up to which Python objects are quicker than arrays."""

# What a body holds that names nothing twice and nothing else: orjson would hide a key that stands twice, but
# its quotes are there. A string with a quote in it has more, and so goes to the full reader.
_QUOTES_OF_ONE_KEY = 2
_QUOTES_OF_A_TENSOR = 14


class SmallJson:
    """Answers for the model that is served."""

    def __init__(self, handle: ModelHandle) -> None:
        self.handle = handle

    def stream(self, body: bytes) -> Found:
        """Answer ``{"instance": x}``."""
        loaded = self.handle.loaded
        try:
            instance = loads(body)["instance"]
        except (ValueError, KeyError, TypeError):
            return None
        if loaded is None or body.count(b'"') != _QUOTES_OF_ONE_KEY:
            return None
        value = _predict(loaded.scorer, instance)
        return None if value is None else (b'{"prediction":%b}' % dumps(value), 1)

    def batch(self, body: bytes) -> Found:
        """Answer ``{"instances": [x, ...]}``, of ``/batch`` and of V1."""
        loaded = self.handle.loaded
        try:
            instances = loads(body)["instances"]
        except (ValueError, KeyError, TypeError):
            return None
        if loaded is None or body.count(b'"') != _QUOTES_OF_ONE_KEY or type(instances) is not list:
            return None
        scorer = loaded.scorer
        values = [_predict(scorer, instance) for instance in instances]
        if not values or None in values or len(values) > self.handle.max_rows:
            return None
        return b'{"predictions":%b}' % dumps(values), len(values)

    def infer(self, body: bytes) -> Found:
        """Answer a V2 request of the one tensor ``instances`` of doubles, with nothing optional in it."""
        loaded = self.handle.loaded
        try:
            (tensor,) = loads(body)["inputs"]
            rows, width = tensor["shape"]
            data = tensor["data"]
            known = tensor["name"] == tensors.INPUT and tensor["datatype"] == "FP64"
        except (ValueError, KeyError, TypeError):
            return None
        if loaded is None or not known or body.count(b'"') != _QUOTES_OF_A_TENSOR:
            return None
        scorer = loaded.scorer
        plain = type(rows) is int and type(width) is int and type(data) is list
        if not plain or width != scorer.width or rows * width != len(data):
            return None
        values = [_predict(scorer, data[start : start + width]) for start in range(0, len(data), width)]
        if not values or None in values or len(values) > self.handle.max_rows:
            return None
        content = b'%b,"outputs":[{"name":"predictions","shape":[%d],"datatype":"FP64","data":%b}]}' % (
            _identity(self.handle.name, self.handle.version),
            len(values),
            dumps(values),
        )
        return content, len(values)


def _predict(scorer: Scorer, instance: Any) -> float | None:
    """The prediction for a row; None where it is none, or the prediction overflows."""
    if type(instance) is list:
        if len(instance) != scorer.width or not NUMBERS.issuperset(map(type, instance)):
            return None
    elif scorer.width == 1 and type(instance) in NUMBERS:
        instance = (instance,)
    else:
        return None
    value = scorer.row(instance)
    # cheaper than a call of isfinite, and not true of infinities and NaN alone
    return value if value - value == 0 else None


@lru_cache(maxsize=1)
def _identity(name: str, version: str | None) -> bytes:
    """The beginning of every V2 answer: who answers."""
    who = {"model_name": name} if version is None else {"model_name": name, "model_version": version}
    return dumps(who)[:-1]
