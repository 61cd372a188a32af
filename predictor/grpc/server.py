"""gRPC: the Open Inference Protocol V2 on the same service as REST. Messages are bytes in and bytes out."""

import grpc

from predictor.service.inference import InferenceService
from predictor.tls import Tls


def make(service: InferenceService, limits: tuple[int, int]) -> grpc.aio.Server:
    """Return a server; ``limits`` are the longest messages sent and received, in bytes."""
    raise NotImplementedError


def listen(server: grpc.aio.Server, host: str, port: int, tls: Tls | None) -> int:
    """Bind the port, with the same certificates as HTTP where there are any; returns the port."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if tls:
        return server.add_secure_port(address, tls.for_grpc())
    return server.add_insecure_port(address)
