"""Every operation beside predictions: how it is called, over HTTP and gRPC, and what it needs."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.errors import PredictorError
from tests.support import http
from tests.support.server import NAME, Server

Outcome = int | str
"""An HTTP status, or the name of a gRPC status code."""


class Operation(NamedTuple):
    """An operation.

    Attributes:
        endpoint: its name in metrics and in the audit log.
        scope: what a credential must grant.
        call: calls it with a credential; returns the outcome, and what it answers.
        grpc: whether it is one of gRPC.
        audit: further lines of the audit log, of what it changed.
    """

    endpoint: str
    scope: str
    call: Callable[[Server, str], tuple[Outcome, Any]]
    grpc: bool = False
    audit: tuple[dict[str, object], ...] = ()

    def outcome(self, error: type[PredictorError] | None) -> Outcome:
        """Return the outcome for an error, or for a success."""
        if self.grpc:
            return error.grpc_code if error else "OK"
        return error.status if error else 200


def _http(endpoint: str, scope: str, method: str, path: str, body: bytes = b"") -> Operation:
    def call(server: Server, key: str) -> tuple[Outcome, Any]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers["content-length"] = str(len(body))
        with server.connect() as connection:
            connection.send(http.head(path, headers, method=method) + body)
            answer = connection.read_response()
        is_json = answer.headers[b"content-type"] == b"application/json"
        return answer.status, json.loads(answer.body) if is_json else answer.body

    return Operation(endpoint, scope, call)


def _rpc(endpoint: str, scope: str, stub: Any, method: str, request: Any) -> Operation:
    def call(server: Server, key: str) -> tuple[Outcome, Any]:
        metadata = [("authorization", f"Bearer {key}")] if key else []
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            try:
                return "OK", getattr(stub(channel), method)(request, metadata=metadata, timeout=http.PATIENCE)
            except grpc.RpcError as error:
                return error.code().name, error.details()

    return Operation(endpoint, scope, call, grpc=True)


V1, V2 = f"/v1/models/{NAME}", f"/v2/models/{NAME}"
REPOSITORY = f"/v2/repository/models/{NAME}"
INFERENCE = GRPCInferenceServiceStub
LABEL = b'{"id": "order-17", "target": 600}'

OPERATIONS = {
    "feedback": _http("feedback", "feedback", "POST", "/feedback", LABEL),
    "log": _http("log", "admin", "GET", "/log"),
    "empty log": _http("log", "admin", "GET", "/emptyLog"),
    "telemetry": _http("telemetry", "admin", "GET", "/telemetry"),
    "change telemetry": _http("telemetry", "admin", "PATCH", "/telemetry", b'{"log_ratio": 0.5}')._replace(
        audit=({"message": "telemetry changed", "principal": "admin-client"},)
    ),
    "index": _http("repository", "admin", "POST", "/v2/repository/index"),
    "load": _http("repository", "admin", "POST", f"{REPOSITORY}/load"),
    "unload": _http("repository", "admin", "POST", f"{REPOSITORY}/unload"),
    "gRPC load": _rpc(
        "repository",
        "admin",
        INFERENCE,
        "RepositoryModelLoad",
        pb.RepositoryModelLoadRequest(model_name=NAME),
    ),
    "gRPC unload": _rpc(
        "repository",
        "admin",
        INFERENCE,
        "RepositoryModelUnload",
        pb.RepositoryModelUnloadRequest(model_name=NAME),
    ),
    "ping": _http("ping", "public", "GET", "/ping"),
    "page": _http("page", "public", "GET", "/"),
    "OpenAPI": _http("openapi", "public", "GET", "/openapi.json"),
    "metrics": _http("metrics", "public", "GET", "/metrics"),
    "drift": _http("drift", "public", "GET", "/drift"),
    "metadata": _http("metadata", "public", "GET", V2),
    "models": _http("metadata", "public", "GET", "/v1/models"),
    "server metadata": _http("metadata", "public", "GET", "/v2"),
    "gRPC server metadata": _rpc(
        "metadata", "public", INFERENCE, "ServerMetadata", pb.ServerMetadataRequest()
    ),
    "gRPC metadata": _rpc(
        "metadata", "public", INFERENCE, "ModelMetadata", pb.ModelMetadataRequest(name=NAME)
    ),
}

LIVENESS = {
    "live": _http("health", "public", "GET", "/v2/health/live"),
    "gRPC live": _rpc("health", "public", INFERENCE, "ServerLive", pb.ServerLiveRequest()),
}

READINESS = {
    "V2 server": _http("health", "public", "GET", "/v2/health/ready"),
    "V2 model": _http("health", "public", "GET", f"{V2}/ready"),
    "V2 version": _http("health", "public", "GET", f"{V2}/versions/7/ready"),
    "V1 model": _http("health", "public", "GET", V1),
    "gRPC server": _rpc("health", "public", INFERENCE, "ServerReady", pb.ServerReadyRequest()),
    "gRPC model": _rpc("health", "public", INFERENCE, "ModelReady", pb.ModelReadyRequest(name=NAME)),
    "gRPC version": _rpc(
        "health", "public", INFERENCE, "ModelReady", pb.ModelReadyRequest(name=NAME, version="7")
    ),
    **{
        f"gRPC health of {service!r}": _rpc(
            "health", "public", HealthStub, "Check", health_pb2.HealthCheckRequest(service=service)
        )
        for service in ("", "inference.GRPCInferenceService", NAME)
    },
}


def is_ready(outcome: Outcome, answer: Any) -> bool:
    """Return what an operation of ``READINESS`` says."""
    if isinstance(answer, health_pb2.HealthCheckResponse):
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return outcome == 200 if isinstance(outcome, int) else bool(answer.ready)
