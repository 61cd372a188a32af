"""The gRPC server: it gives calls to the service, as bytes, and writes the responses."""

import asyncio
from functools import partial

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from predictor.errors import TooLarge
from predictor.grpc.health import HEALTH, INFERENCE, Watch
from predictor.grpc.methods import Method, methods
from predictor.grpc.slots import ReadSlots
from predictor.messages import Response
from predictor.service.inference import Call, InferenceService
from predictor.service.limits import Reservation
from predictor.tls import Tls

_FIELDS = frozenset({"authorization", "x-api-key", "x-request-id"})
"""The metadata that mean the same as in HTTP; others, such as accept-encoding, are not for our messages."""

_LONGEST_DETAILS = 1024
"""Clients refuse metadata of more than 8 KiB in all."""
_LOOKAHEAD_BYTES = 2**14
_STREAMS = 256
"""Calls at once on a connection; together they can have 4 MiB on the way that nobody reads."""
_PING_SECONDS = 60

_FAIR_SECONDS = 1.0
"""In this time 8 MiB arrive at 70 Mbit/s: a client that is slower is refused only while others wait."""
_SMALL_SLOTS = 4
_SMALL_FAIR_SECONDS = 0.1
"""A small message is sent together with its call, so it arrives in one round trip."""


def make(service: InferenceService, limits: tuple[int, int]) -> grpc.aio.Server:
    """Return a server; ``limits`` are the longest messages sent and received, in bytes.

    A call is authorized before its message is read. Until then the connection takes no more than the
    look-ahead of it. While a message is read, nothing is reserved for it: how many are read at once is what
    bounds their memory, to about the memory budget. When it is here, its length is reserved.
    """
    settings = service.settings
    sent, received = (limit if limit > 0 else settings.max_body_bytes for limit in limits)
    slots = max(2, settings.max_memory_bytes // (2 * received))
    large = ReadSlots(slots, _FAIR_SECONDS, settings.read_seconds)
    small = ReadSlots(_SMALL_SLOTS, _SMALL_FAIR_SECONDS, settings.read_seconds)
    server = grpc.aio.server(
        options=[
            ("grpc.max_send_message_length", sent),
            ("grpc.max_receive_message_length", received),
            ("grpc.max_concurrent_streams", _STREAMS),
            ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
            ("grpc.http2.bdp_probe", 0),  # it would enlarge the look-ahead
            ("grpc.keepalive_time_ms", _PING_SECONDS * 1000),  # ends calls of clients that are gone
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=settings.max_connections,
    )
    handlers: dict[str, dict[str, grpc.RpcMethodHandler]] = {
        name: {
            short: grpc.stream_unary_rpc_method_handler(
                _Endpoint(service, method, f"/{name}/{short}", large if method.large else small).answer
            )
            for short, method in found.items()
        }
        for name, found in methods(service).items()
    }
    handlers[HEALTH]["Watch"] = grpc.stream_stream_rpc_method_handler(Watch(service, small).answer)
    reflected = reflection.aio.ReflectionServicer((INFERENCE, HEALTH, reflection.SERVICE_NAME))
    handlers[reflection.SERVICE_NAME] = {
        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
            reflected.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, found) for name, found in handlers.items()]
    )
    return server


def listen(server: grpc.aio.Server, host: str, port: int, tls: Tls | None) -> int:
    """Bind the port, with the same certificates as HTTP where there are any; returns the port."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if tls:
        return server.add_secure_port(address, tls.for_grpc())
    return server.add_insecure_port(address)


class _Endpoint:
    """One method of the server.

    Its handler is a ``stream_unary`` one, because those decide when to read. For a client it is the same.
    """

    def __init__(self, service: InferenceService, method: Method, path: str, slots: ReadSlots) -> None:
        self.service = service
        self.method = method
        self.path = path
        self.slots = slots

    async def answer(self, _messages: object, context: grpc.aio.ServicerContext) -> bytes:
        """Answer a call."""
        service = self.service
        endpoint, scope, handler, *_ = self.method
        fields, client = {}, ""
        if service.recorder or service.authorizer.guards(scope):
            metadata = context.invocation_metadata()
            fields = {name.encode(): value.encode() for name, value in metadata if name in _FIELDS}
            client = _address(context.peer())
        call = Call(endpoint, scope, handler, fields, client, "POST", self.path)
        reservation = service.memory.reserve()
        # The response takes memory until it is sent, which is after this function. The context's own callbacks
        # would keep the call until garbage is collected.
        if task := asyncio.current_task():
            task.add_done_callback(lambda _task: reservation.release())
        response = await service.answer(call, partial(self._read, context), reservation)
        reservation.hold(len(response.body))  # gRPC copies it
        if response.headers or response.error:
            _write_trailers(context, response)
        return response.body

    async def _read(self, context: grpc.aio.ServicerContext, reservation: Reservation) -> bytes:
        if not self.method.reads:
            return b""
        message = await self.slots.read(context.read)
        if message is grpc.aio.EOF:
            raise TooLarge("the call has no message, or one that is too long")
        self.service.check_room(len(message))
        reservation.grow(len(message))
        return message


def _write_trailers(context: grpc.aio.ServicerContext, response: Response) -> None:
    """Write all of a response but its body, which is not sent if there is an error."""
    context.set_trailing_metadata([(name.decode(), value.decode()) for name, value in response.headers])
    if error := response.error:
        # Not by abort(): its exception would keep the call and all that it holds until garbage is collected.
        context.set_code(grpc.StatusCode[error.grpc_code])
        context.set_details(str(error)[:_LONGEST_DETAILS])


def _address(peer: str) -> str:
    """Return the address in a peer's name, such as ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    return peer.partition(":")[2].rpartition(":")[0].removeprefix("%5B").removesuffix("%5D")
