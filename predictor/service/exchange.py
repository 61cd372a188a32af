"""One call and its response: authorized, read, computed, counted, and released when it is sent."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Self

from predictor.errors import ClientGone, InternalError, PredictorError
from predictor.identity import Identity
from predictor.messages import UNAUTHORIZED, Principal, Request, Response
from predictor.observability.request_log import LOGGED_BYTES
from predictor.service.call import Call, Origin
from predictor.service.executor import LARGE, free
from predictor.service.inference import InferenceService
from predictor.service.memory_budget import Reservation

_GONE = Response.refusal(ClientGone())

logger = logging.getLogger(__name__)

Read = Callable[[Reservation], Awaitable[bytes]]
"""Reads the body of a call within the limits, and reserves memory for it."""


class Exchange:
    """One call and its response, until that is sent or the client is gone; then the call is counted, once.

    A transport writes the header fields of the response, and those of ``identity``.

    Attributes:
        identity: the names of the call.
        principal: who asks, once that is known.
        reservation: the memory of the body, and then of the response.
        response: the response; until there is one, the refusal that counts if the client goes away.
    """

    def __init__(self, service: InferenceService, call: Call, origin: Origin = lambda: ("", ())) -> None:
        self.service = service
        self.call = call
        self.origin = origin
        self.identity = service.telemetry.decide(Identity.of_fields(call.fields))
        self.principal = UNAUTHORIZED
        self.reservation = Reservation(service.memory)
        self.response = _GONE
        self._body: bytes | bytearray = b""
        self._began = self._started = time.perf_counter()
        service.metrics.in_progress += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.finish()

    async def answer(self, read: Read) -> Response:
        """Answer the call. Whatever goes wrong becomes a response too.

        Args:
            read: reads the body, once the call is authorized.
        """
        service, call, reservation = self.service, self.call, self.reservation
        request = Request(fields=call.fields, identity=self.identity)
        try:
            request.principal = self.authorize()
            request.headers = call.read_headers()
            request.body = await read(reservation)
            self._started = time.perf_counter()
            self._body = request.body[:LOGGED_BYTES]
            response = service.compute_inline(call.handler, request)
            if response is None:
                response = await service.compute_in_thread(call.handler, request)
            if response.stored:
                await service.wait_for_storage(response.stored)
        except PredictorError as error:
            response = Response.refusal(error)
        except Exception as error:  # the log has the details, the client a plain 500
            logger.error("a call could not be answered", exc_info=error, extra=self.identity.logged)
            response = Response.refusal(InternalError())
        reservation.hold(len(response.body))
        self.identity, self.response = request.identity, response
        return response

    def authorize(self) -> Principal:
        """Check that the client may make the call; returns who asks.

        Raises:
            PredictorError: the client may not.
        """
        self.principal = self.service.authorize(self.call, self.identity, self.origin)
        return self.principal

    def finish(self, _task: object = None) -> None:
        """Count the call, and release its memory."""
        self.reservation.release()
        self.service.metrics.in_progress -= 1
        ended = time.perf_counter()
        self.service.record(
            self.call,
            self.identity,
            self.principal,
            self._body,
            self.response,
            ended - self._started,
            ended - self._began,
        )
        if len(self.response.body) > LARGE:
            held: list[object] = [self.response]
            self.response = _GONE
            free(held)
