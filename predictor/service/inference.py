"""What both ways in share: the model, who may ask it, what is counted, and how requests become answers."""

import asyncio
import logging
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from predictor.codecs import compression
from predictor.endpoints import feedback
from predictor.endpoints.ndjson import Keep
from predictor.endpoints.routing import Handler, Route, Routes
from predictor.errors import (
    DeadlineExceeded,
    Forbidden,
    NotFound,
    PredictorError,
    ReadTimeout,
    Unauthorized,
)
from predictor.feedback.capture import PredictionCapture, capture_predictions
from predictor.feedback.recorder import Predicted, Recorder
from predictor.feedback.store import open_store
from predictor.messages import JSON, RequestHeaders, Response
from predictor.model.handle import ModelHandle
from predictor.observability.metrics import Metrics
from predictor.observability.request_log import RequestLog
from predictor.service.auth import ApiKeys, Authorizer, CachedGrant, JsonWebTokens, jwks_reader
from predictor.service.limits import BoundedExecutor, MemoryBudget, OutOfMemory, Overloaded
from predictor.settings import Settings
from predictor.web.site import Site

logger = logging.getLogger(__name__)
audit = logging.getLogger("predictor.audit")

_REASONS = {
    Unauthorized: "unauthorized",
    Forbidden: "forbidden",
    Overloaded: "busy",
    OutOfMemory: "memory",
    ReadTimeout: "slow",
    DeadlineExceeded: "deadline",
}


class Service:
    """The predictor without its wires."""

    def __init__(self, served: ModelHandle, settings: Settings) -> None:
        self.served = served
        self.settings = settings
        self.gate = make_authorizer(settings)
        self.log = RequestLog(settings.request_log_size)
        self.workers = BoundedExecutor(
            settings.workers, settings.queue, settings.queue_bytes, settings.answer_seconds
        )
        self.memory = MemoryBudget(settings.max_memory_bytes)
        self.recorder = make_recorder(settings)
        self.metrics = Metrics(served, self.memory, self.recorder)
        self.routes = Routes(
            served, Site(served, settings.auth, keeps=self.recorder is not None), self.log, self.keep
        )
        self.ending = asyncio.Event()

    def keep(self, head: RequestHeaders, body: bytes | bytearray) -> Response:
        """Answer ``POST /feedback``; the answer waits until what came true is stored."""
        if self.recorder is None:
            raise NotFound("no feedback is kept here: the server has no feedback_url")
        head.require(JSON)
        truths = feedback.read(body)
        stored = self.recorder.record_ground_truth(truths)
        if stored is None:
            raise Overloaded("too much feedback waits to be stored", retry_after=5)
        rows = sum(len(truth.targets) for truth in truths)
        return Response.of({"stored": rows})._replace(waits=stored)

    def register(self) -> None:
        """Put the metrics into what ``/metrics`` shows."""
        REGISTRY.register(self.metrics)

    def admit(self, route: Route, headers: Mapping[bytes, bytes], client: str) -> CachedGrant | None:
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
        return CachedGrant(generation, principal.expires if principal else float("inf"))

    def expect(self, length: int) -> None:
        """Tell, before any of it is read, whether there is room for a body.

        Raises:
            Overloaded: too many large ones are waiting.
            OutOfMemory: it and its answer would take more memory than is left.
        """
        if length > self.settings.inline_bytes:
            self.workers.check(length)
            self.memory.check(2 * length)

    def compute(self, handler: Handler, head: RequestHeaders, body: bytes | bytearray) -> Response:
        """Answer a request whose body is here. Whatever goes wrong becomes an answer too."""
        try:
            plain = (
                compression.decode(body, head.encoding, self.settings.max_body_bytes)
                if head.encoding
                else body
            )
            answer = self._watched(handler, head, plain) if self.recorder else handler(head, plain)
        except PredictorError as error:
            return Response.refusal(error)
        except Exception as error:  # noqa: BLE001 - the log tells us, a plain 500 the client
            return self.broken(error)
        return compress(answer, head.reply_encoding) if head.reply_encoding else answer

    def _watched(self, handler: Handler, head: RequestHeaders, body: bytes | bytearray) -> Response:
        """Answer, keep what was predicted, and tell the client by which id."""
        with capture_predictions() as seen:
            answer = handler(head, body)
        if not seen:
            return answer
        name = self.remember(seen, head.request_id)
        return answer._replace(headers=(*answer.headers, (b"x-request-id", name.encode())))

    def remember(self, seen: PredictionCapture, given: bytes | str | None) -> str:
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

    def broken(self, error: Exception) -> Response:
        """The answer for an error of our own; the log says more than the client is told."""
        logger.error("a request could not be answered", exc_info=error)
        return Response.of({"error": "internal error"}, 500)

    def refuse(self, error: PredictorError) -> Response:
        """The answer for a request that was refused before it was read."""
        if reason := _REASONS.get(type(error)):
            self.metrics.rejected[reason] += 1
        return Response.refusal(error)

    def record(
        self, route: Route, method: str, path: str, body: bytes | bytearray, answer: Response, started: float
    ) -> None:
        """Count an answer, and remember it where somebody may look."""
        self.metrics.series(route.name).observe(answer.status, time.perf_counter() - started, answer.rows)
        if self.gate.has_admin and route.scope != "admin":
            self.log.add(method, path, answer.status, body, answer.body)


def compress(answer: Response, coding: bytes) -> Response:
    """Compress an answer that is worth it."""
    headers = (*answer.headers, (b"vary", b"accept-encoding"))
    if len(answer.body) < compression.SMALLEST:
        return answer
    return answer._replace(
        body=compression.encode(answer.body, coding), headers=((b"content-encoding", coding), *headers)
    )


def make_recorder(settings: Settings) -> Recorder | None:
    """What keeps predictions and truths, where the settings say to."""
    if settings.feedback_url is None:
        return None
    put = open_store(settings.feedback_url)
    return Recorder(put, settings.feedback_bytes, settings.feedback_seconds)


def make_authorizer(settings: Settings) -> Authorizer:
    """The gate that the settings describe."""
    sources: list[ApiKeys | JsonWebTokens] = []
    if settings.api_keys:
        sources.append(ApiKeys(settings.api_keys))
    if settings.jwks:
        read = jwks_reader(settings.jwks)
        sources.append(
            JsonWebTokens(read, settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithms)
        )
    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    return Authorizer(settings.auth, token, tuple(sources))
