"""Sends requests of a form, and returns the status."""

import contextlib
import threading

import grpc

from tests.support.http import Connection
from tests.support.worst.form import GRPC, Form

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_SECONDS = 120
_READ_BYTES = 2**16
_STATUS_LINE_BYTES = 16


def send(form: Form, request: bytes, port: int, grpc_port: int) -> str:
    """Send a request and read all of the answer; returns the first status.

    Raises:
        RuntimeError: there was no answer, or one that blames the server.
    """
    status = _call(request, grpc_port) if form.path == GRPC else _exchange(request, port)
    if status in ("", "500", "INTERNAL", "UNKNOWN"):
        raise RuntimeError(f"{form.name}: {status or 'no answer'}")
    return status


def _exchange(request: bytes, port: int) -> str:
    """Send and receive at the same time: an answer can be longer than the buffers between.

    Nothing but its beginning is kept, since copies of long answers would hold up the probes of this process.
    """
    with Connection(port, timeout=_SECONDS) as connection:

        def send_all() -> None:
            with contextlib.suppress(ConnectionError):
                connection.send(request)
                connection.finish_sending()

        sender = threading.Thread(target=send_all)
        sender.start()
        answer, buffer = b"", bytearray(_READ_BYTES)
        with contextlib.suppress(ConnectionError):
            while size := connection.socket.recv_into(buffer):
                if len(answer) < _STATUS_LINE_BYTES:
                    answer += buffer[:size]
        sender.join()
    return answer[9:12].decode()


def _call(message: bytes, port: int) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=_UNLIMITED) as channel:
        try:
            channel.unary_unary(_METHOD)(message, timeout=_SECONDS)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"
