"""The installed predictor is Ready and returns the model's predictions through the gateway."""

import asyncio
import http.client
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictor.model import artifact
from tests.cluster.installers import NAME, NAMESPACE, ROOT, Settings
from tests.cluster.kube import get, kubectl
from tests.cluster.service import Service

pytestmark = pytest.mark.short
VALUES = [-0.09, 0.0, 0.05, 0.17]


@pytest.fixture(scope="module")
def expected(models: Path) -> list[float]:
    """The predictions of the model in Python."""
    model, _ = artifact.read(models / "1")
    return [float(value) for value in model.predict(np.array(VALUES)[:, None])]


def test_inference_service_is_ready(installed: Settings) -> None:
    conditions = get("-n", NAMESPACE, "inferenceservice", NAME)["status"]["conditions"]
    assert {"type": "Ready", "status": "True"}.items() <= next(
        c for c in conditions if c["type"] == "Ready"
    ).items()


def test_every_http_endpoint_returns_the_models_predictions(
    installed: Settings, service: Service, expected: list[float]
) -> None:
    rows = [[value] for value in VALUES]
    tensor = {"name": "instances", "datatype": "FP64", "shape": [4, 1], "data": VALUES}
    for value, prediction in zip(VALUES, expected, strict=True):
        assert service.request("POST", "/stream", {"instance": value}).json() == {"prediction": prediction}
        assert service.request("GET", f"/stream/{value}").json() == {"prediction": prediction}
    for path in ("/batch", f"/v1/models/{NAME}:predict"):
        assert service.request("POST", path, {"instances": rows}).json() == {"predictions": expected}
    inferred = service.request("POST", f"/v2/models/{NAME}/infer", {"inputs": [tensor]}).json()
    assert inferred["outputs"][0]["data"] == expected


def test_grpc_returns_the_models_predictions_on_its_own_host(
    installed: Settings, service: Service, expected: list[float]
) -> None:
    address = urlsplit(service.ingress)
    target = f"{address.hostname}:{address.port or 80}"
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="instances", datatype="FP64", shape=[4, 1], contents=pb.InferTensorContents(fp64_contents=VALUES)
    )
    with grpc.insecure_channel(
        target, options=[("grpc.default_authority", f"grpc.{service.host}")]
    ) as channel:
        stub = GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(pb.ModelInferRequest(model_name=NAME, inputs=[tensor]), timeout=10)
        outputs = answer.outputs[0].contents.fp64_contents or np.frombuffer(
            answer.raw_output_contents[0], "<f8"
        )
        assert list(outputs) == expected
        with pytest.raises(grpc.RpcError):
            stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=NAME), timeout=10)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/v2/repository/index",
        "/log",
        "/emptyLog",
        "/telemetry",
        "/ping",
        "/v2/models/../repository/index",
    ],
)
@pytest.mark.parametrize(
    "host",
    [
        None,
        f"{NAME}-{NAMESPACE}.example.com",
        f"grpc.{NAME}.{NAMESPACE}.example.com",
        f"{NAME}.example.com",
        f"{NAME}-predictor-{NAMESPACE}.example.com",
    ],
)
def test_no_hostname_routes_to_internal_paths(
    installed: Settings, service: Service, path: str, host: str | None
) -> None:
    for method in ("GET", "POST"):
        assert service.request(method, path, host=host).status in {404, 415, 501}


def test_server_metadata_has_name_and_version(installed: Settings, service: Service) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for path in ("/v2", f"/v2/models/{NAME}", "/v2/health/ready", "/v1/models"):
        assert service.request("GET", path).status == http.client.OK, path
    metadata = service.request("GET", "/v2").json()
    assert (metadata["name"], metadata["version"]) == (project["name"], project["version"])


def test_stream_answers_each_record_while_the_request_continues(
    installed: Settings, service: Service, expected: list[float]
) -> None:
    # HTTP/2, because with HTTP/1.1 a gateway may drop the rest of a request that is answered before its end.
    command = [
        "curl",
        "-sN",
        "--http2-prior-knowledge",
        "-X",
        "POST",
        "-T",
        ".",
        "-H",
        f"Host: {service.host}",
    ]
    with subprocess.Popen(
        [*command, "-H", "Content-Type: application/x-ndjson", f"{service.ingress}/stream"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as curl:
        assert curl.stdin
        assert curl.stdout
        for _ in range(500):
            for value, prediction in zip(VALUES, expected, strict=True):
                curl.stdin.write(f'{{"instance": {value!r}}}\n'.encode())
                curl.stdin.flush()
                assert curl.stdout.readline() == f'{{"prediction":{prediction!r}}}\n'.encode()
        curl.stdin.close()
        assert curl.stdout.read() == b""
    assert curl.returncode == 0


def test_serves_docs_and_front_page(installed: Settings, service: Service) -> None:
    for path in ("/", "/docs", "/openapi.json"):
        assert service.request("GET", path).status == http.client.OK


async def _predict_with_kserve_client(service: Service) -> list[float]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    tensor = InferInput(name="instances", shape=[4, 1], datatype="FP64", data=VALUES)
    answer = await client.infer(
        service.ingress, InferRequest(NAME, [tensor]), headers={"Host": service.host}, model_name=NAME
    )
    return [float(value) for value in answer.outputs[0].data]


def test_kserve_client_gets_the_same_predictions(
    installed: Settings, service: Service, expected: list[float]
) -> None:
    assert asyncio.run(_predict_with_kserve_client(service)) == expected


def test_curl_gets_the_same_prediction(installed: Settings, service: Service, expected: list[float]) -> None:
    command = [
        "curl",
        "-s",
        "-H",
        f"Host: {service.host}",
        "-d",
        '{"instance": 0.05}',
        f"{service.ingress}/stream",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer == f'{{"prediction":{expected[2]!r}}}'


def test_namespace_enforces_restricted_pod_security(installed: Settings) -> None:
    labels = get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(RuntimeError, match="violates PodSecurity"):
        kubectl("-n", NAMESPACE, "run", "intruder", "--image=any", "--restart=Never")
