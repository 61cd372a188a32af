"""The gRPC server: it gives calls to the service, as bytes, and writes the responses."""

import asyncio
import contextlib
import ctypes
import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any
from weakref import WeakSet

import grpc
from grpc_reflection.v1alpha import reflection

from predictor.errors import CannotListen, ClientGone, InvalidInput, TooLarge
from predictor.grpc.health import HEALTH, Watch
from predictor.grpc.methods import Method, methods
from predictor.grpc.reflection import Reflection
from predictor.grpc.slots import ReadSlots
from predictor.identity import Identity, combined
from predictor.messages import RequestHeaders, Response
from predictor.service.call import Call
from predictor.service.exchange import Exchange
from predictor.service.inference import InferenceService
from predictor.service.memory_budget import Reservation
from predictor.tls import Tls

_FIELDS = frozenset({"authorization", "x-api-key", "x-request-id", "traceparent", "tracestate"})
"""The metadata that mean the same as in HTTP; others, such as accept-encoding, are not for our messages."""

_NAMES = frozenset({b"x-request-id", b"traceparent", b"tracestate"})
"""Those that differ from call to call."""
_MOST_CACHED, _LONGEST_CACHED = 1024, 2048

_LONGEST_DETAILS = 1024
"""Bytes; on the way, those that are not ASCII take three times as many. Clients refuse metadata of more than
8 KiB in all."""

_FAIR_SECONDS = 1.0
"""In this time 8 MiB arrive at 70 Mbit/s: a slower client is refused, but only while others wait."""
_FEW_SMALL = 4
_SMALL_FAIR_SECONDS = 0.1
"""A small message is sent together with its call, so it arrives in one round trip."""

_ENDING_SECONDS = 0.5

_CALL_BYTES = 2**14
"""What a call takes beside its message and response, measured with calls whose responses are not read."""
_LIFETIMES = 5

_OPTIONS = {
    # What a client can send before its message is read: 4 MiB on one connection.
    "grpc.http2.lookahead_bytes": 2**14,
    "grpc.http2.bdp_probe": 0,  # it would enlarge the look-ahead
    "grpc.max_concurrent_streams": 2**8,
    # Otherwise each connection keeps a buffer of half a megabyte after a long message.
    "grpc.experimental.tcp_max_read_buffer_size": 2**13,
    "grpc.keepalive_time_ms": 60_000,  # ends the calls of clients that are gone
    "grpc.so_reuseport": 0,
}
_M_ARENA_MAX = -8

Metadata = Sequence[tuple[str, str]]

logger = logging.getLogger(__name__)


def make(service: InferenceService, limits: tuple[int, int]) -> grpc.aio.Server:
    """Return a server; ``limits`` are the longest messages sent and received, in bytes.

    A call is authorized before its message is read. Until then the connection takes no more of the message
    than the look-ahead. Nothing is reserved for a message while it is read, as its length is not known: the
    number of messages that are read at once bounds what they take to the memory budget. When a message is
    here, its length is reserved, and later twice that of the response, which gRPC copies. While much is
    reserved, fewer messages are read at once.
    """
    _share_memory()
    log = logging.getLogger("grpc._cython.cygrpc")
    log.addFilter(_is_fault)
    log.debug = _note_refusal  # type: ignore[method-assign, assignment]
    settings = service.settings
    sent, received = (limit if limit > 0 else settings.max_body_bytes for limit in limits)
    memory = service.memory

    def most_large() -> int:
        # While gRPC makes a message of the pieces that it has received, both are in memory. What was long
        # leaves gaps behind when it is freed, which are allowed for by as much again.
        return max(2, (memory.limit - memory.used) // (3 * received))

    large = ReadSlots(most_large(), most_large, _FAIR_SECONDS, settings.read_seconds)
    most = min(settings.max_connections, settings.max_memory_bytes // _CALL_BYTES)
    small = ReadSlots(_FEW_SMALL, lambda: most, _SMALL_FAIR_SECONDS, settings.read_seconds)
    options = {
        **_OPTIONS,
        "grpc.max_send_message_length": sent,
        "grpc.max_receive_message_length": received,
        # The only way to end the calls of a client that does not read. Others connect again.
        "grpc.max_connection_age_ms": int(_LIFETIMES * settings.write_seconds * 1000),
        "grpc.max_connection_age_grace_ms": int(
            1000 * (settings.read_seconds + settings.answer_seconds + settings.write_seconds)
        ),
    }
    server = grpc.aio.server(options=list(options.items()), maximum_concurrent_rpcs=most)
    calls = _Calls(service, {True: large, False: small})
    streams = (
        (HEALTH, "Watch", Watch(service, small).answer),
        (reflection.SERVICE_NAME, "ServerReflectionInfo", Reflection(service, small).answer),
    )
    server.add_generic_rpc_handlers([calls])
    for name, short, answer in streams:
        found = {short: grpc.stream_stream_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, found)])
    return server


def listen(server: grpc.aio.Server, host: str, port: int, tls: Tls | None) -> int:
    """Bind the port, with the same certificates as HTTP where there are any; returns the port.

    Raises:
        CannotListen: the port is in use or not permitted.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if tls:
            return server.add_secure_port(address, tls.for_grpc())
        return server.add_insecure_port(address)
    except RuntimeError:
        logger.error("gRPC can't listen on %s: the port is in use or not permitted", address)
        raise CannotListen from None


def _share_memory() -> None:
    """Make all threads share an arena: with one each, gRPC's retain the memory of long messages."""
    with contextlib.suppress(AttributeError):  # other C libraries have none
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


_refused: WeakSet[Any] = WeakSet()
"""The tasks of calls whose message gRPC has refused, as it is too long or can't be decompressed."""


def _note_refusal(line: str, *_arguments: object) -> None:
    """Note calls whose message gRPC refused: its debug log alone tells them from clients that went away."""
    if line.startswith("Failed to receive any message"):
        _refused.add(asyncio.current_task())


def _is_fault(record: logging.LogRecord) -> bool:
    """Return False for the log line of a response whose client went away."""
    return not record.getMessage().startswith("ExecuteBatchError")


class _Calls(grpc.GenericRpcHandler):
    """Begins the calls of the methods with one message each way."""

    def __init__(self, service: InferenceService, slots: Mapping[bool, ReadSlots]) -> None:
        self.inference = service
        self.cached: dict[tuple[object, ...], Call] = {}
        self.methods = {
            f"/{name}/{short}": (method, slots[method.large])
            for name, found in methods(service).items()
            for short, method in found.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call; None for another method."""
        path, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        found = self.methods.get(path)
        if found is None:
            return None
        method, slots = found
        # Most clients send the same metadata with every call.
        call = self.cached.get((path, metadata)) or self._call(method, path, metadata)
        return _Handler(self.inference, call, slots, metadata, reads=method.reads)

    def _call(self, method: Method, path: str, metadata: Metadata) -> Call:
        """Return what is asked for, and cache it unless it can't come again or is long."""
        fields = combined([(name.encode(), value.encode()) for name, value in metadata if name in _FIELDS])
        endpoint, scope, handler = method.endpoint, method.scope, method.handler
        call = Call(endpoint, scope, handler, fields, "POST", path, "grpc", path, RequestHeaders())
        if _NAMES.isdisjoint(fields) and sum(map(len, chain(*metadata))) <= _LONGEST_CACHED:
            if len(self.cached) >= _MOST_CACHED:
                self.cached.clear()
            self.cached[path, metadata] = call
        return call


class _Handler(grpc.RpcMethodHandler):
    """Answers one call; gRPC takes it for the handler of its method.

    It is a ``stream_unary`` one, because those decide when to read. For a client it is the same.
    """

    request_streaming = True
    response_streaming = False
    request_deserializer = response_serializer = None

    def __init__(
        self, service: InferenceService, call: Call, slots: ReadSlots, metadata: Metadata, *, reads: bool
    ) -> None:
        self.service = service
        self.call = call
        self.slots = slots
        self.metadata = metadata
        self.reads = reads

    async def stream_unary(self, _messages: object, context: grpc.aio.ServicerContext) -> bytes:
        """Answer the call."""
        self.context = context
        exchange = Exchange(self.service, self.call, self._origin)
        # The response is sent after this function. Callbacks of the context would keep the call until garbage
        # is collected.
        if task := asyncio.current_task():
            task.add_done_callback(exchange.finish)
        response = await exchange.answer(self._read)
        # gRPC copies the response. From here on the client decides how long the call lasts.
        exchange.reservation.hold(_CALL_BYTES + 2 * len(response.body))
        _write_trailers(context, response, exchange.identity)
        return response.body

    async def _read(self, reservation: Reservation) -> bytes:
        if not self.reads:
            return b""
        message = await self.slots.read(self.context.read)
        if message is grpc.aio.EOF:
            if asyncio.current_task() in _refused:
                raise TooLarge("the message is too long")
            try:  # gRPC cancels this task when it finds that the client is gone
                await asyncio.sleep(_ENDING_SECONDS)
            except asyncio.CancelledError:
                raise ClientGone from None
            raise InvalidInput("the call has no message")
        self.service.check_room(len(message))
        self.service.memory.check(3 * len(message))  # it, the response, and gRPC's copy of that
        reservation.hold(len(message))
        return message

    def _origin(self) -> tuple[str, Sequence[bytes]]:
        forwarded = [value.encode() for name, value in self.metadata if name == "x-forwarded-for"]
        return _address(self.context.peer()), forwarded


def _write_trailers(context: grpc.aio.ServicerContext, response: Response, identity: Identity) -> None:
    """Write all of a response but its body, which is not sent if there is an error."""
    # gRPC takes values as bytes, and would encode text.
    fields = (*response.headers, *identity.fields)
    context.set_trailing_metadata([(name.decode(), value) for name, value in fields])
    if error := response.error:
        # Not by abort(): its exception would keep the call and all that it holds until garbage is collected.
        context.set_code(grpc.StatusCode[error.grpc_code])
        context.set_details(str(error).encode(errors="replace")[:_LONGEST_DETAILS].decode(errors="ignore"))


def _address(peer: str) -> str:
    """Return the address in a peer's name, such as ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    return peer.partition(":")[2].rpartition(":")[0].removeprefix("%5B").removesuffix("%5D")
