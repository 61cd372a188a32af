"""A client that trusts no answer: each must be whole, in time, and never a fault of the server."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import http
from tests.support.http import Connection, Response
from tests.support.server import Server

Rows = NDArray[np.float64]

_FAULT = re.compile(rb"^HTTP/1\.\d 5\d\d ", re.MULTILINE)


class Fault(AssertionError):  # noqa: N818  of the server, not of ours
    """An answer that no request may get, or none at all."""


@dataclass(frozen=True)
class Target:
    """A server, and the model that it serves."""

    server: Server
    weights: tuple[float, ...]
    intercept: float

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.weights)

    def predict(self, row: list[float]) -> float:
        """Compute what the server must answer, to the last bit."""
        total = self.weights[0] * row[0]
        for weight, value in zip(self.weights[1:], row[1:], strict=True):
            total += weight * value
        return total + self.intercept

    def predictions(self, rows: Rows | None) -> list[float] | None:
        """Compute what the server must answer for rows of shape (n, d); None where it must refuse them."""
        if rows is None or not len(rows):
            return None
        with np.errstate(all="ignore"):
            columns: Any = rows.T
            values: Any = self.predict(list(columns))
        return values.tolist() if np.isfinite(values).all() else None


class Client:
    """Sends requests over one connection, which is opened again whenever the server closes it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.count = 0
        self._connection: Connection | None = None

    def post(self, path: str, body: bytes, *, chunk_size: int = 0, **headers: str) -> Response:
        """Send a body of known length, or in chunks.

        Raises:
            Fault: no answer, half of one, or a 5xx.
        """
        self.count += 1
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._ask(http.post(path, body, fields, chunk_size=chunk_size))
        if answer.status >= 500:
            raise Fault(f"{path} {headers} {body[:2000]!r}: {answer.status} {answer.body[:500]!r}")
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ask(self, request: bytes) -> Response:
        self._connection = self._connection or Connection(self.target.server.port)
        try:
            with contextlib.suppress(ConnectionError):  # a refusal may come, and the end, before all was sent
                self._connection.send(request)
            answer = self._connection.read_response()
        except (OSError, ValueError, IndexError) as error:
            raise Fault(f"{error}, sent {request[:2000]!r}") from error
        if answer.headers.get(b"connection") == b"close":
            self.close()
        return answer


def exchange(target: Target, data: bytes) -> bytes:
    """Send bytes on a connection of their own, and return everything that comes back until it is closed.

    Raises:
        Fault: it is not closed, what comes back is not HTTP, or a 5xx is among it.
    """
    try:
        answer = http.exchange(target.server.port, data, half_close=True)
    except TimeoutError as error:
        raise Fault(f"the connection stays open, sent {data[:2000]!r}") from error
    if answer and not answer.startswith(b"HTTP/1.1 "):
        raise Fault(f"not HTTP: {answer[:500]!r}, sent {data[:2000]!r}")
    if _FAULT.search(answer):
        raise Fault(f"{answer[:500]!r}, sent {data[:2000]!r}")
    return answer


def responses(target: Target, packets: Sequence[bytes]) -> list[Response]:
    """Send packets on a connection of their own, and read whole responses until it is closed.

    Raises:
        Fault: it is not closed, or what comes back is not HTTP.
    """
    found: list[Response] = []
    try:
        with Connection(target.server.port) as connection:
            with contextlib.suppress(ConnectionError):
                for packet in packets:
                    connection.send(packet)
                connection.finish_sending()
            with contextlib.suppress(ConnectionError):
                while True:
                    found.append(connection.read_response())
    except (TimeoutError, ValueError, IndexError) as error:
        raise Fault(f"{error!r} after {found}, sent {packets}") from error
    return found
