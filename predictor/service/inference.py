"""The inference service that every transport calls, and the only place with rules.

A transport turns bytes into a ``Call`` and a body, and writes a ``Response`` as bytes. Authorization,
limits, prediction, counting, audit, traces and feedback are here, the same for REST, the fast path and gRPC.
"""

import asyncio
import logging
import time
from concurrent.futures import Future
from functools import partial

import numpy as np
from numpy.typing import NDArray

from predictor.codecs import compression
from predictor.codecs.cost import TooCostly, require_cheap
from predictor.errors import InternalError, PredictorError, Unavailable
from predictor.feedback.recorder import Predicted, Recorder, Rows, Values
from predictor.identity import Identity
from predictor.messages import PROBE_ID, UNAUTHORIZED, Handler, Principal, Request, Response
from predictor.model.handle import ModelHandle
from predictor.observability.counting import Transport
from predictor.observability.drift import DriftMonitor
from predictor.observability.metrics import Metrics, Usage
from predictor.observability.request_log import RequestLog
from predictor.observability.telemetry import Telemetry
from predictor.service.auth import NO_GRANT, Authorizer
from predictor.service.call import Call, Origin
from predictor.service.executor import BoundedExecutor
from predictor.service.memory_budget import MemoryBudget
from predictor.service.trusted_proxies import TrustedProxies
from predictor.settings import Settings

logger = logging.getLogger(__name__)
audit = logging.getLogger("predictor.audit")


class InferenceService:
    """Answers calls with one model, within the limits of the settings."""

    def __init__(
        self,
        handle: ModelHandle,
        settings: Settings,
        authorizer: Authorizer | None = None,
        recorder: Recorder | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.handle = handle
        self.settings = settings
        self.authorizer = authorizer or Authorizer()
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self.recorder = recorder
        self.request_log = RequestLog(settings.request_log_size)
        self.executor = BoundedExecutor(
            settings.workers, settings.queue, settings.queue_bytes, settings.answer_seconds
        )
        self.memory = MemoryBudget(settings.max_memory_bytes)
        self.drift = DriftMonitor(handle, settings.drift_seconds)
        self.metrics = Metrics(handle, self._usage, recorder, self.drift, settings.decisions_dir)
        self.telemetry = telemetry or Telemetry()
        self.ending = asyncio.Event()

    def _usage(self) -> Usage:
        memory, executor = self.memory, self.executor
        return Usage(
            memory.used,
            memory.limit,
            executor.jobs,
            executor.capacity,
            executor.bytes,
            executor.capacity_bytes,
        )

    def authorize(self, call: Call, identity: Identity, origin: Origin) -> Principal:
        """Check that the client may make a call, and audit refusals and administration; returns who asks.

        Raises:
            PredictorError: the client may not.
        """
        if not self.authorizer.honors(call.grant):
            call.grant = NO_GRANT
            try:
                call.grant = self.authorizer.authorize(call.scope, call.fields)
            except PredictorError as error:
                self._audit(logging.WARNING, "refused", call, identity, origin, status=error.status)
                raise
        principal = call.grant.principal
        if call.scope == "admin":
            self._audit(logging.INFO, "admitted", call, identity, origin, principal=principal.name)
        return principal

    def _audit(
        self, level: int, message: str, call: Call, identity: Identity, origin: Origin, **extra: object
    ) -> None:
        found = {
            "client": self._proxies.client(*origin()),
            "endpoint": call.endpoint,
            "transport": call.transport,
            **identity.logged,
            **extra,
        }
        audit.log(level, message, extra=found)

    def check_room(self, length: int) -> None:
        """Check that there is room for a body of ``length`` bytes, before it is read.

        Raises:
            Overloaded: too many large requests are waiting.
            OutOfMemory: the body and its response do not fit the memory budget.
        """
        if length > self.settings.inline_bytes:
            self.executor.check(length)
            self.memory.check(2 * length)

    def compute_inline(self, handler: Handler, request: Request) -> Response | None:
        """Compute the response to a small request on the event loop; None if it would take too long there."""
        if len(request.body) > self.settings.inline_bytes or request.headers.content_encoding:
            return None
        request.inline = True
        try:
            return self.compute(handler, request)
        except TooCostly:
            request.inline = False
            request.predictions.clear()
            return None

    async def compute_in_thread(self, handler: Handler, request: Request) -> Response:
        """Compute the response to a request that is large, or turned out to be slow, in a thread.

        Raises:
            Overloaded: too many large requests are waiting.
            DeadlineExceeded: it took too long.
        """
        size = len(request.body)
        if size <= self.settings.inline_bytes:  # there was room for a large one before it was read
            self.executor.check(size)
        request.deadline = time.monotonic() + self.settings.answer_seconds
        try:
            return await self.executor.run(partial(self._compute_and_free, handler, request), size)
        finally:
            request.abandoned = True

    def _compute_and_free(self, handler: Handler, request: Request) -> Response:
        """Compute a response, and free what is large in its request here rather than on the event loop."""
        try:
            return self.compute(handler, request)
        finally:
            request.body, request.predictions = b"", []

    def compute(self, handler: Handler, request: Request) -> Response:
        """Compute the response to a request whose body is here.

        Raises:
            TooCostly: it would take too long on the event loop.
        """
        coding, limit = request.headers.content_encoding, self.settings.max_body_bytes
        try:
            if coding:
                request.body = compression.decode(request.body, coding, limit, request.checkpoint)
            response = handler(request)
            if self.recorder and request.predictions:
                rows, values = (np.concatenate(parts) for parts in zip(*request.predictions, strict=True))
                self.record_rows(request.identity, request.principal, rows, values)
            request.checkpoint()  # a response that nobody waits for is freed here
        except PredictorError as error:
            return Response.refusal(error)
        except TooCostly:
            raise
        except Exception as error:  # the log has the details, the client a plain 500
            logger.error("a request could not be answered", exc_info=error, extra=request.identity.logged)
            return Response.refusal(InternalError())
        wanted = request.headers.response_coding
        return compression.compress(response, wanted) if wanted else response

    def predict(self, request: Request, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict rows of shape (n, d), and record them if feedback is on; returns shape (n,).

        A rollout's probes are neither recorded nor part of the sample for drift.

        Raises:
            InvalidInput: a value or a prediction that is not finite; it names the row.
            TooCostly: the predictions would take too long on the event loop.
            TooLarge: more rows than one request may have.
            Unavailable: no model is loaded.
        """
        model = self.handle.require().model
        self.handle.check_rows(len(X))
        if model.cost:
            require_cheap(int(model.cost * len(X)), inline=request.inline)
        values = model.rows(X, request.checkpoint)
        if request.identity.request_id == PROBE_ID:
            return values
        self.drift.offer(X, values)
        if self.recorder:
            request.predictions.append((X, values))
        return values

    def record_rows(
        self, identity: Identity, principal: Principal, rows: Rows, values: Values, first: int = 0
    ) -> None:
        """Record rows of shape (n, d) of a request, from its row ``first`` on, for feedback."""
        if self.recorder and (loaded := self.handle.loaded):
            inputs, version = loaded.model.inputs, self.handle.version or ""
            name, trace = identity.request_id.decode(), identity.trace_id.decode()
            self.recorder.record_predictions(
                Predicted(name, principal.name, time.time(), inputs, version, rows, values, first, trace)
            )

    async def wait_for_storage(self, stored: Future[None]) -> None:
        """Wait until what a response has to store is stored.

        Raises:
            Unavailable: it takes too long.
        """
        try:
            await asyncio.wait_for(asyncio.wrap_future(stored), self.settings.answer_seconds)
        except TimeoutError as error:
            raise Unavailable("the feedback is not stored yet", retry_after=5) from error

    def record(
        self,
        call: Call,
        identity: Identity,
        principal: Principal,
        body: bytes | bytearray,
        response: Response,
        seconds: float,
        total_seconds: float,
    ) -> None:
        """Count a response, write its line and its span, and add it to what an administrator can read.

        Args:
            call: what was asked for.
            identity: the names of the request.
            principal: who asked.
            body: the beginning of the request's body.
            response: the response.
            seconds: how long it took from the complete body on.
            total_seconds: how long it took from the head on.
        """
        status, error, rows = response.status, response.error, response.rows
        self.metrics.series(call.endpoint, call.transport).observe(status, seconds, rows)
        if error:
            self.metrics.count_error(error)
        if self.authorizer.has_admin and call.scope != "admin":
            self.request_log.add(call.method, call.path, status, body, response.body)
        self.telemetry.record(call, identity, principal, status, error, rows, total_seconds)

    def count_refusal(
        self, error: PredictorError, endpoint: str, transport: Transport, identity: Identity
    ) -> None:
        """Count and log a refusal without a call: of bytes that can't be parsed, or of a gRPC stream."""
        self.metrics.count_error(error)
        call = Call(endpoint, "public", lambda _: Response.refusal(error), {}, "", "", transport=transport)
        self.telemetry.record(call, identity, UNAUTHORIZED, error.status, error, 0, 0)
