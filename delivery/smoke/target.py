"""What is deployed where, and how to ask it."""

import json
import ssl
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

OK = 200
SECONDS = 10.0
"""How long one request may take."""


class SmokeError(Exception):
    """What was asked did not answer as it should; the message says how."""


@dataclass(frozen=True)
class Target:
    """A deployed predictor, and what is expected of it.

    Attributes:
        url: its address.
        model: the name of the model.
        host: the name to send as the header Host; the address's own when empty.
        grpc: the address of gRPC, such as https://grpc.example.com; none when empty.
        grpc_host: the name to send as the authority of gRPC; the address's own when empty.
        api_key: a key that may predict; none when empty.
        release: the version of the software that should answer; any when empty.
        version: the version of the model that should answer; any when empty.
        answers: a file of rows and answers; None to compare the endpoints with each other only.
        latency: the most milliseconds that half of the requests for one row may take.
        direct: whether this is the predictor itself, without a gateway that closes its other paths.
    """

    url: str
    model: str = "linear-regressor"
    host: str = ""
    grpc: str = ""
    grpc_host: str = ""
    api_key: str = ""
    release: str = ""
    version: str = ""
    answers: Path | None = None
    latency: float = 500.0
    direct: bool = False

    def client(self) -> httpx.Client:
        """Return a new client for the address."""
        headers = {"x-api-key": self.api_key} if self.api_key else {}
        if self.host:
            headers["host"] = self.host
        verify = _certificates() if self.url.startswith("https:") else False
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, verify=verify)


@cache
def _certificates() -> ssl.SSLContext:
    """Read the certificates of this machine's authorities, which takes longer than a request."""
    return ssl.create_default_context()


class Http:
    """Asks for JSON, and says what else came."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to a GET, whatever its status."""
        return self._send("GET", path, headers=headers)

    def post(self, path: str, content: str, media: str) -> httpx.Response:
        """Return the answer to a POST, whatever its status."""
        return self._send("POST", path, content=content, headers={"content-type": media})

    def json(self, path: str, body: object = None) -> Any:
        """Return the JSON that a GET, or with a body a POST, is answered with.

        Raises:
            SmokeError: another status, or no JSON.
        """
        answer = self.get(path) if body is None else self.post(path, json.dumps(body), "application/json")
        return self.parsed(answer)

    @staticmethod
    def parsed(answer: httpx.Response) -> Any:
        """Return the JSON of a successful answer."""
        require_ok(answer)
        try:
            return answer.json()
        except ValueError:
            raise SmokeError(f"expected JSON, got {_short(answer.text)}") from None

    def milliseconds(self, path: str, body: object, requests: int) -> list[float]:
        """Return how long each of some requests took, one after the other, in ascending order."""
        taken = []
        for _ in range(requests):
            started = time.perf_counter()
            self.json(path, body)
            taken.append((time.perf_counter() - started) * 1000)
        return sorted(taken)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise SmokeError(f"{type(error).__name__}: {error}") from error


def require_ok(answer: httpx.Response) -> httpx.Response:
    """Return an answer whose status is 200.

    Raises:
        SmokeError: another status.
    """
    if answer.status_code != OK:
        raise SmokeError(f"status {answer.status_code}: {_short(answer.text)}")
    return answer


def grpc_predictions(target: Target, tensors: list[dict[str, Any]]) -> tuple[list[float], str]:
    """Return the predictions for tensors by gRPC, and the version that made them.

    Raises:
        SmokeError: the call failed.
    """
    import grpc

    with _no_arguments():
        from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
        from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

    address = urlsplit(target.grpc)
    secure = address.scheme == "https"
    place = f"{address.hostname}:{address.port or (443 if secure else 80)}"
    options = [("grpc.default_authority", target.grpc_host)] if target.grpc_host else []
    inputs = [
        pb.ModelInferRequest.InferInputTensor(
            name=one["name"], datatype=one["datatype"], shape=one["shape"], contents=_contents(pb, one)
        )
        for one in tensors
    ]
    channel = (
        grpc.secure_channel(place, grpc.ssl_channel_credentials(), options)
        if secure
        else grpc.insecure_channel(place, options)
    )
    with channel:
        try:
            answer = GRPCInferenceServiceStub(channel).ModelInfer(
                pb.ModelInferRequest(model_name=target.model, inputs=inputs),
                timeout=SECONDS,
                metadata=(("x-api-key", target.api_key),) if target.api_key else (),
            )
        except grpc.RpcError as error:
            raise SmokeError(f"{error.code().name}: {_short(error.details() or '')}") from error
    return list(answer.outputs[0].contents.fp64_contents), answer.model_version


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the command line from KServe, which reads it when it is imported."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = arguments


def _contents(pb: Any, tensor: Mapping[str, Any]) -> Any:
    data = tensor["data"]
    if tensor["datatype"] == "BYTES":
        return pb.InferTensorContents(bytes_contents=[str(value).encode() for value in data])
    if tensor["datatype"] == "BOOL":
        return pb.InferTensorContents(bool_contents=data)
    return pb.InferTensorContents(fp64_contents=data)


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def _short(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")
