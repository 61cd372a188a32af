"""What both ways in share: the model, who may ask it, what is counted, and how requests become answers."""

import asyncio
import logging
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from predictor import encoding, feedback
from predictor.answer import JSON, Answer, Head
from predictor.auth import Gate, Keys, Pass, Tokens, jwks_reader
from predictor.capacity import Busy, Memory, OutOfMemory, Workers
from predictor.errors import (
    DeadlineExceeded,
    Forbidden,
    NotFound,
    PredictorError,
    ReadTimeout,
    Unauthorized,
)
from predictor.metrics import Metrics
from predictor.ndjson import Keep
from predictor.pages import Site
from predictor.recorder import Predicted, Recorder
from predictor.request_log import RequestLog
from predictor.routes import Handler, Route, Routes
from predictor.seen import Seen, watching
from predictor.served import Served
from predictor.settings import Settings
from predictor.store import open_store

logger = logging.getLogger(__name__)
audit = logging.getLogger("predictor.audit")

_REASONS = {
    Unauthorized: "unauthorized",
    Forbidden: "forbidden",
    Busy: "busy",
    OutOfMemory: "memory",
    ReadTimeout: "slow",
    DeadlineExceeded: "deadline",
}


class Service:
    """The predictor without its wires."""

    def __init__(self, served: Served, settings: Settings) -> None:
        self.served = served
        self.settings = settings
        self.gate = make_gate(settings)
        self.log = RequestLog(settings.request_log_size)
        self.workers = Workers(
            settings.workers, settings.queue, settings.queue_bytes, settings.answer_seconds
        )
        self.memory = Memory(settings.max_memory_bytes)
        self.recorder = make_recorder(settings)
        self.metrics = Metrics(served, self.memory, self.recorder)
        self.routes = Routes(
            served, Site(served, settings.auth, keeps=self.recorder is not None), self.log, self.keep
        )
        self.ending = asyncio.Event()

    def keep(self, head: Head, body: bytes | bytearray) -> Answer:
        """Answer ``POST /feedback``; the answer waits until what came true is stored."""
        if self.recorder is None:
            raise NotFound("no feedback is kept here: the server has no feedback_url")
        head.require(JSON)
        truths = feedback.read(body)
        stored = self.recorder.came_true(truths)
        if stored is None:
            raise Busy("too much feedback waits to be stored", retry_after=5)
        rows = sum(len(truth.targets) for truth in truths)
        return Answer.of({"stored": rows})._replace(waits=stored)

    def register(self) -> None:
        """Put the metrics into what ``/metrics`` shows."""
        REGISTRY.register(self.metrics)

    def admit(self, route: Route, headers: Mapping[bytes, bytes], client: str) -> Pass | None:
        """Let a request in, and write down whom not, and who administers.

        Returns what lets the same headers in again; None where they must be looked at each time.

        Raises:
            PredictorError: it is not let in.
        """
        if not self.gate.asks(route.scope):
            return None
        generation = self.gate.generation
        try:
            principal = self.gate.admit(route.scope, headers)
        except PredictorError as error:
            audit.warning("refused", extra={"client": client, "endpoint": route.name, "status": error.status})
            raise
        if route.scope == "admin" and principal:
            audit.info("admitted", extra={"client": client, "endpoint": route.name, "who": principal.name})
        return Pass(generation, principal.expires if principal else float("inf"))

    def expect(self, length: int) -> None:
        """Tell, before any of it is read, whether there is room for a body.

        Raises:
            Busy: too many large ones are waiting.
            OutOfMemory: it and its answer would take more memory than is left.
        """
        if length > self.settings.inline_bytes:
            self.workers.check(length)
            self.memory.check(2 * length)

    def compute(self, handler: Handler, head: Head, body: bytes | bytearray) -> Answer:
        """Answer a request whose body is here. Whatever goes wrong becomes an answer too."""
        try:
            plain = (
                encoding.decode(body, head.encoding, self.settings.max_body_bytes) if head.encoding else body
            )
            answer = self._watched(handler, head, plain) if self.recorder else handler(head, plain)
        except PredictorError as error:
            return Answer.refusal(error)
        except Exception as error:  # noqa: BLE001 - the log tells us, a plain 500 the client
            return self.broken(error)
        return compress(answer, head.reply_encoding) if head.reply_encoding else answer

    def _watched(self, handler: Handler, head: Head, body: bytes | bytearray) -> Answer:
        """Answer, keep what was predicted, and tell the client by which id."""
        with watching() as seen:
            answer = handler(head, body)
        if not seen:
            return answer
        name = self.remember(seen, head.request_id)
        return answer._replace(headers=(*answer.headers, (b"x-request-id", name.encode())))

    def remember(self, seen: Seen, given: bytes | str | None) -> str:
        """Keep what a request had predicted; returns the id that it has, its own or a new one."""
        name, keep = self.keeper(seen.id or given)
        if keep:
            keep(0, seen.rows, seen.values)
        return name

    def keeper(self, given: bytes | str | None) -> tuple[str, Keep | None]:
        """The id of a request, its own or a new one, and what keeps its rows; None where nothing is kept."""
        name, recorder, loaded = feedback.request_id(given), self.recorder, self.served.loaded
        if not (recorder and loaded):
            return name, None
        names, version = loaded.scorer.names, self.served.version or ""

        def keep(place: int, rows: NDArray[np.float64], values: NDArray[np.float64]) -> None:
            recorder.predicted(Predicted(name, time.time(), names, version, rows, values, place))

        return name, keep

    def broken(self, error: Exception) -> Answer:
        """The answer for an error of our own; the log says more than the client is told."""
        logger.error("a request could not be answered", exc_info=error)
        return Answer.of({"error": "internal error"}, 500)

    def refuse(self, error: PredictorError) -> Answer:
        """The answer for a request that was refused before it was read."""
        if reason := _REASONS.get(type(error)):
            self.metrics.rejected[reason] += 1
        return Answer.refusal(error)

    def record(
        self, route: Route, method: str, path: str, body: bytes | bytearray, answer: Answer, started: float
    ) -> None:
        """Count an answer, and remember it where somebody may look."""
        self.metrics.series(route.name).observe(answer.status, time.perf_counter() - started, answer.rows)
        if self.gate.has_admin and route.scope != "admin":
            self.log.add(method, path, answer.status, body, answer.body)


def compress(answer: Answer, coding: bytes) -> Answer:
    """Compress an answer that is worth it."""
    headers = (*answer.headers, (b"vary", b"accept-encoding"))
    if len(answer.body) < encoding.SMALLEST:
        return answer
    return answer._replace(
        body=encoding.encode(answer.body, coding), headers=((b"content-encoding", coding), *headers)
    )


def make_recorder(settings: Settings) -> Recorder | None:
    """What keeps predictions and truths, where the settings say to."""
    if settings.feedback_url is None:
        return None
    put = open_store(settings.feedback_url)
    return Recorder(put, settings.feedback_bytes, settings.feedback_seconds)


def make_gate(settings: Settings) -> Gate:
    """The gate that the settings describe."""
    sources: list[Keys | Tokens] = []
    if settings.api_keys:
        sources.append(Keys(settings.api_keys))
    if settings.jwks:
        read = jwks_reader(settings.jwks)
        sources.append(Tokens(read, settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithms))
    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    return Gate(settings.auth, token, tuple(sources))
