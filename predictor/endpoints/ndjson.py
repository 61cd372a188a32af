"""Streams of records (NDJSON): the lines that have arrived are answered together, one line each.

A record has the form of ``POST /stream``. A malformed record gets a line ``{"error": ...}``, and the stream
goes on, so that one bad record does not end a connection that is open for hours. It ends once most records
are malformed: an error is ten times as much work as a prediction, and its line much longer than a record.
"""

import math
from collections.abc import Iterator

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import json_output, json_rows, json_small
from predictor.codecs.json_document import check_utf8
from predictor.errors import InvalidInput
from predictor.feedback.recorder import Rows, Values
from predictor.identity import Identity
from predictor.messages import Principal
from predictor.service.auth import ANYBODY
from predictor.service.inference import InferenceService

_BYTES_AT_ONCE = 2**16
"""Fewer if predictions take longer than reading."""
_RECORDS_AT_ONCE = 128
"""Records that are read one by one, because one of them may be malformed, before others have their turn."""


MOST_ERRORS = 1000
"""Malformed records of a stream, up to which they may be more than the good ones."""


class Unreadable(InvalidInput):
    """A stream that can't go on.

    One record is longer than the limit, so where the next one begins is unknown; or too many are malformed.
    """


class Records:
    """Cuts what arrives into records, and answers them.

    Args:
        service: computes the predictions.
        principal: who asks.
        identity: the names of the request, under which the records are recorded for feedback.

    Attributes:
        count: records answered so far; a client that is cut off continues from there.

    Raises:
        Unavailable: no model is loaded.
    """

    def __init__(
        self, service: InferenceService, principal: Principal = ANYBODY, identity: Identity | None = None
    ) -> None:
        self.service = service
        self.principal = principal
        self.model = service.handle.require().model
        self.limit = service.settings.max_record_bytes
        self._identity = identity or Identity.new()
        self.count = 0
        self._errors = 0
        self._at_once = int(_BYTES_AT_ONCE / max(1.0, self.model.cost))
        self._rest = bytearray()

    @property
    def unfinished(self) -> int:
        """Bytes of the record that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Answer the records that ``data`` completes, so many at a time that each step is short.

        Raises:
            Unreadable: a record has no end within the limit, or too many are malformed.
        """
        end = data.rfind(b"\n") + 1
        if end:
            text = bytes(self._rest + data[:end])
            self._rest = bytearray(data[end:])
            for answers in self._answer(text):
                yield answers
                if self._errors > max(MOST_ERRORS, self.count - self._errors):
                    raise Unreadable(f"record {self.count}: too many records are malformed: {self._errors}")
        else:
            self._rest += data
        if len(self._rest) > self.limit:
            raise Unreadable(f"record {self.count}: longer than {self.limit} bytes")

    def finish(self) -> Iterator[bytes]:
        """Answer the last record, which may have no line end."""
        text, self._rest = bytes(self._rest), bytearray()
        yield from self._answer(text + b"\n")

    def _answer(self, text: bytes) -> Iterator[bytes]:
        """Answer whole lines."""
        start = 0
        while start < len(text):
            end = text.rfind(b"\n", start, start + self._at_once) + 1 or text.find(b"\n", start) + 1
            part, start = text[start:end], end
            values = self._plain(part)
            if values is None:
                yield from self._one_by_one(part)
            else:
                lines = json_output.array(values, b'{"prediction":', b"}\n")
                yield lines.replace(b",", b'}\n{"prediction":')

    def _one_by_one(self, text: bytes) -> Iterator[bytes]:
        lines = [line for line in text.split(b"\n") if line and not line.isspace()]
        for start in range(0, len(lines), _RECORDS_AT_ONCE):
            yield b"".join([self._one(line) for line in lines[start : start + _RECORDS_AT_ONCE]])

    def _plain(self, text: bytes) -> NDArray[np.float64] | None:
        """Return predictions for lines of one well-formed record each; None if any line is something else.

        The decoder does not care for lines. But where each line end is between a closing and an opening
        brace, none is inside a record, and with as many records as lines each line has one.
        """
        text = text.replace(b"\r\n", b"\n")
        count, decoders = text.count(b"\n"), json_small.decoders(self.model.inputs)
        if text.count(b"}\n{") != count - 1 or len(text) > _BYTES_AT_ONCE:
            return None
        try:
            check_utf8(text)
            X = decoders.table([record.instance for record in decoders.records(text)])
            if X is None or len(X) != count:
                return None
            values = self.model.rows(X)
        except json_small.REFUSED:
            return None
        self._record(X, values)
        return values

    def _record(self, rows: Rows, values: Values) -> None:
        self.service.drift.offer(rows, values)
        self.service.record_rows(self._identity, self.principal, rows, values, self.count)
        self.count += len(values)

    def _one(self, line: bytes) -> bytes:
        try:
            row = json_rows.instance(line, self.model.inputs)
            value = self.model.row(row)
            if not math.isfinite(value):
                value = self.model.rows(np.array([row], np.float64)).item()  # it says what is wrong
            self._record((row,), (value,))
            return json_output.prediction(value) + b"\n"
        except InvalidInput as error:
            self.count += 1
            self._errors += 1
            self.service.metrics.count_error(error)
            message = str(error).replace("the body", "it").replace("instances[0]", "instance")
            return orjson.dumps({"error": f"record {self.count - 1}: {message}"}) + b"\n"
