"""A bare grpc.aio server with a fixed answer to ModelInfer.

Usage: python -m tests.benchmarks.plain_grpc_server PORT
"""

import sys

import grpc
import uvloop
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from tests.support.server import NAME

_OUTPUT = {"name": "predictions", "shape": [1], "datatype": "FP64", "contents": {"fp64_contents": [621.125]}}
ANSWER = pb.ModelInferResponse(model_name=NAME, model_version="1", outputs=[_OUTPUT]).SerializeToString()


async def infer(_message: bytes, _context: object) -> bytes:
    """Answer."""
    return ANSWER


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    methods = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    handler = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", methods)
    server.add_generic_rpc_handlers([handler])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
