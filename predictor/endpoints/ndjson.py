"""Records a line each (NDJSON), for a stream without end: the lines that have arrived are answered together.

Each record has the form of ``POST /stream``. One that is malformed gets ``{"error": ...}`` as its line, and
the stream goes on: whoever feeds a connection for hours should not lose it, nor the count of lines, by one
record.
"""

from collections.abc import Callable

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import json_bulk
from predictor.errors import InvalidInput
from predictor.model.scorer import Scorer

Keep = Callable[[int, NDArray[np.float64], NDArray[np.float64]], None]
"""Takes the place of a record, the rows from it on, of shape (n, d), and their predictions, of shape (n,)."""


class TooLong(InvalidInput):
    """A record without an end within the limit; nothing after it can be told apart."""


class Records:
    """Cuts what arrives into records, and answers them.

    Attributes:
        count: records answered so far; where a client that is cut off goes on.
    """

    def __init__(self, scorer: Scorer, longest: int, keep: Keep | None = None) -> None:
        self.scorer = scorer
        self.longest = longest
        self.keep = keep
        self.count = 0
        self._rest = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Answer the records that ``data`` completes.

        Raises:
            TooLong: a record has no end within the limit.
        """
        end = data.rfind(b"\n") + 1
        lines = bytes(self._rest + data[:end]) if end else b""
        self._rest = bytearray(data[end:]) if end else self._rest + data
        answers = self._answer(lines)
        if len(self._rest) > self.longest:
            raise TooLong(f"record {self.count}: longer than {self.longest} bytes")
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
        if self.keep:
            self.keep(place, X, values)
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
