"""A client of NDJSON streams."""

import json
from types import TracebackType
from typing import Any, Self

from tests.support.http import Connection, head

NDJSON = {"content-type": "application/x-ndjson"}


class RecordStream:
    """A stream of records on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.connection = Connection(port)
        self.connection.send(head("/stream", {**NDJSON, "transfer-encoding": "chunked"}))
        self.head = self.connection.read_to(b"\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def finish_sending(self) -> None:
        self.connection.send(b"0\r\n\r\n")

    def receive(self) -> list[Any]:
        """Return the records of the next chunk; none at the end."""
        return [json.loads(line) for line in self.connection.read_chunk().splitlines()]
