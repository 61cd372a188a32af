"""Streams of records (NDJSON): the lines that have arrived are answered together, one line each.

A record has the form of ``POST /stream``. A malformed record gets a line ``{"error": ...}``, and the stream
goes on, so that one bad record does not end a connection that is open for hours.
"""

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import json_bulk
from predictor.errors import InvalidInput
from predictor.messages import request_id
from predictor.service.inference import InferenceService


class TooLong(InvalidInput):
    """A record longer than the limit; where the next one begins is unknown."""


class Records:
    """Cuts what arrives into records, and answers them.

    Args:
        service: computes the predictions.
        name: the client's id of the request, if it has one.

    Attributes:
        name: the id under which the records are kept for feedback.
        count: records answered so far; a client that is cut off continues from there.

    Raises:
        Unavailable: no model is loaded.
    """

    def __init__(self, service: InferenceService, name: bytes | None = None) -> None:
        self.service = service
        self.scorer = service.handle.require().scorer
        self.limit = service.settings.max_record_bytes
        self.name = request_id(name)
        self.count = 0
        self._rest = bytearray()

    @property
    def unfinished(self) -> int:
        """Bytes of the record that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> bytes:
        """Answer the records that ``data`` completes.

        Raises:
            TooLong: a record has no end within the limit.
        """
        end = data.rfind(b"\n") + 1
        lines = bytes(self._rest + data[:end]) if end else b""
        self._rest = bytearray(data[end:]) if end else self._rest + data
        answers = self._answer(lines)
        if len(self._rest) > self.limit:
            raise TooLong(f"record {self.count}: longer than {self.limit} bytes")
        return answers

    def finish(self) -> bytes:
        """Answer the last record, which may have no line end."""
        lines, self._rest = bytes(self._rest), bytearray()
        return self._answer(lines)

    def _answer(self, text: bytes) -> bytes:
        if not text.strip():
            return b""
        lines = text.strip(b"\r\n").split(b"\n")
        if any(not line or line.isspace() for line in lines):
            lines = [line for line in lines if line and not line.isspace()]
        values = self._plain(lines)
        if values is None:
            return b"".join(self._one(line) for line in lines)
        self.count += len(values)
        numbers = json_bulk.array(values)[1:-1].replace(b",", b'}\n{"prediction":')
        return b'{"prediction":%b}\n' % numbers

    def _plain(self, lines: list[bytes]) -> NDArray[np.float64] | None:
        """Predictions for lines that are all as they should be; None where one is not.

        Each line is parsed as an array of its own, so that none can reach into the next, and the quotes are
        counted, so that no key can stand twice.
        """
        width = self.scorer.width
        try:
            text = b"[[%b]]" % b"],[".join(lines)
            records = orjson.loads(text)
            values = [record["instance"] for (record,) in records]
        except (ValueError, KeyError, TypeError):
            return None
        if len(values) != len(lines) or text.count(b'"') != 2 * len(lines):
            return None
        kinds = set(map(type, values))
        if kinds == {list} and set(map(len, values)) == {width}:
            values = [number for value in values for number in value]
            kinds = set(map(type, values))
        elif width != 1:
            return None
        if not kinds <= json_bulk.NUMBERS:
            return None
        try:
            return self._predict(np.array(values, dtype=np.float64).reshape(-1, width), self.count)
        except InvalidInput:
            return None

    def _predict(self, X: NDArray[np.float64], place: int) -> NDArray[np.float64]:
        values = self.scorer.rows(X)
        self.service.record_rows(self.name, X, values, place)
        return values

    def _one(self, line: bytes) -> bytes:
        place = self.count
        self.count += 1
        try:
            X = np.array([json_bulk.instance(line, self.scorer.width)], dtype=np.float64)
            return json_bulk.prediction(float(self._predict(X, place)[0])) + b"\n"
        except InvalidInput as error:
            message = str(error).replace("the body", "it").replace("instances[0]", "instance")
            return orjson.dumps({"error": f"record {place}: {message}"}) + b"\n"
