"""Answers messages of one row that differ from an earlier one in nothing but the row and the id.

The generated classes make a dozen objects to read the shortest message, which takes a quarter of the time of
a call. A client sends the same message again and again, with other numbers.
"""

import struct
from typing import NamedTuple

from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.errors import InvalidInput
from predictor.grpc.infer import infer
from predictor.grpc.tensor_contents import parse
from predictor.grpc.wire import header
from predictor.identity import is_plain
from predictor.messages import PROBE_ID, Request, Response
from predictor.model.handle import LoadedModel
from predictor.service.inference import InferenceService

_ID = 3
"""The number of the field of the id, in requests and responses."""
_LONGEST = 2048
_MOST = 64
_FIRST, _SELDOM = 16, 64
"""Each of the first messages that fit no template becomes one, and later one in so many: making one takes as
long as a call."""

_VALUE = struct.Struct("<d")


class _Template(NamedTuple):
    """A message and its response, but for the row, the id and the prediction.

    Attributes:
        before: the message up to the id, or to the row if it has no id.
        id_length: bytes of the id.
        between: what is between the id and the row.
        row: the row's numbers.
        behind: the rest.
        head: the response up to the prediction.
        tail: what is between that and the id.
    """

    before: bytes
    id_length: int
    between: bytes
    row: struct.Struct
    behind: bytes
    head: bytes = b""
    tail: bytes = b""


class Templates:
    """The templates of the model that is served, by the lengths of their messages."""

    def __init__(self, service: InferenceService) -> None:
        self.service = service
        self._loaded: LoadedModel | None = None
        self._known: dict[int, _Template] = {}
        self._unfitting = 0

    def infer(self, request: Request) -> Response:
        """Answer ModelInfer, by a template if one fits."""
        if self._loaded is not self.service.handle.loaded:
            self._loaded, self._unfitting = self.service.handle.loaded, 0
            self._known.clear()
        found = self._answer(request)
        if found is None:
            found = infer(self.service, request)
            # A row that takes long is not predicted on the event loop.
            if request.inline and found.rows == 1 and len(request.body) <= _LONGEST:
                self._learn(bytes(request.body), found)
        return found

    def _answer(self, request: Request) -> Response | None:
        """Answer a message that fits a template; None if none fits, or the row has no finite prediction."""
        body, loaded = request.body, self._loaded
        known = self._known.get(len(body))
        if known is None or loaded is None or not body.startswith(known.before):
            return None
        start = len(known.before) + known.id_length
        if not body.startswith(known.between, start) or not body.endswith(known.behind):
            return None
        given = bytes(body[len(known.before) : start])
        if given and not is_plain(given):
            return None
        row = known.row.unpack_from(body, start + len(known.between))
        value = loaded.model.row(row)
        if value - value != 0 or request.identity.request_id == PROBE_ID:
            return None
        if given:
            request.identify(given.decode())
        self.service.drift.offer((row,), (value,))
        return Response(b"".join((known.head, _VALUE.pack(value), known.tail, given)), rows=1)

    def _learn(self, body: bytes, response: Response) -> None:
        """Make a template of a message that was answered, if it has one row of doubles."""
        self._unfitting += 1
        if self._unfitting > _FIRST and self._unfitting % _SELDOM:
            return
        if self._loaded is None or not self._loaded.model.plain or self.service.recorder:
            return
        message, width = parse(pb.ModelInferRequest, body), self._loaded.model.width
        if message.inputs[0].datatype != "FP64" or message.inputs[0].shape != [1, width]:
            return
        id_length = len(message.id.encode())
        template = _template(body, message, width)
        if template is None:
            return
        tail = header(_ID, id_length) if id_length else b""
        head = response.body[: len(response.body) - _VALUE.size - len(tail) - id_length]
        if len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[len(body)] = template._replace(head=head, tail=tail)


def _template(body: bytes, message: pb.ModelInferRequest, width: int) -> _Template | None:
    """Return a template of a message without its response; None if row or id can't be told from the rest.

    Args:
        body: the message.
        message: what it means.
        width: the numbers of its row.
    """
    row, raw, given = struct.Struct(f"<{width}d"), message.raw_input_contents, message.id.encode()
    numbers = raw[0] if raw else row.pack(*message.inputs[0].contents.fp64_contents)
    name = header(_ID, len(given)) if given else b""
    before, _, rest = body.partition(name + given) if given else (b"", b"", body)
    between, _, behind = rest.partition(numbers)
    # Other numbers and another id in their places show that the places are the right ones.
    values = [2.0 if value == 1 else 1.0 for value in row.unpack(numbers)]
    message.id = ("y" if message.id.startswith("x") else "x") * len(given)
    if raw:
        raw[0] = row.pack(*values)
    else:
        message.inputs[0].contents.fp64_contents[:] = values
    other = b"".join((before, name, message.id.encode(), between, row.pack(*values), behind))
    try:
        if parse(pb.ModelInferRequest, other) != message:
            return None
    except InvalidInput:
        return None
    return _Template(before + name, len(given), between, row, behind)
