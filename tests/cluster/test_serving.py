"""Installed, Ready, and answering through the gateway with the model's own numbers."""

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

VALUES = [-0.09, 0.0, 0.05, 0.17]


@pytest.fixture(scope="module")
def right(models: Path) -> list[float]:
    """What the model gives in Python."""
    model, _ = artifact.read(models / "1")
    return [float(value) for value in model.predict(np.array(VALUES)[:, None])]


def test_the_inference_service_is_ready(installed: Settings) -> None:
    conditions = get("-n", NAMESPACE, "inferenceservice", NAME)["status"]["conditions"]
    assert {"type": "Ready", "status": "True"}.items() <= next(
        c for c in conditions if c["type"] == "Ready"
    ).items()


def test_every_http_path_gives_the_models_numbers(
    installed: Settings, service: Service, right: list[float]
) -> None:
    rows = [[value] for value in VALUES]
    tensor = {"name": "instances", "datatype": "FP64", "shape": [4, 1], "data": VALUES}
    for value, expected in zip(VALUES, right, strict=True):
        assert service.ask("POST", "/stream", {"instance": value}).json() == {"prediction": expected}
        assert service.ask("GET", f"/stream/{value}").json() == {"prediction": expected}
    assert service.ask("POST", "/batch", {"instances": rows}).json() == {"predictions": right}
    assert service.ask("POST", f"/v1/models/{NAME}:predict", {"instances": rows}).json() == {
        "predictions": right
    }
    inferred = service.ask("POST", f"/v2/models/{NAME}/infer", {"inputs": [tensor]}).json()
    assert inferred["outputs"][0]["data"] == right


def test_grpc_on_its_own_host_gives_the_models_numbers(
    installed: Settings, service: Service, right: list[float]
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
        assert list(outputs) == right
        with pytest.raises(grpc.RpcError):
            stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=NAME), timeout=10)


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/v2/repository/index", "/log", "/emptyLog", "/ping", "/v2/models/../repository/index"],
)
@pytest.mark.parametrize(
    "host",
    [
        None,
        f"{NAME}-{NAMESPACE}.example.com",
        f"grpc.{NAME}.example.com",
        f"{NAME}-predictor-{NAMESPACE}.example.com",
    ],
)
def test_what_is_not_for_clients_is_on_no_hostname(
    installed: Settings, service: Service, path: str, host: str | None
) -> None:
    for method in ("GET", "POST"):
        assert service.ask(method, path, host=host).status in {404, 415, 501}


def test_the_server_tells_its_name_and_version(installed: Settings, service: Service) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for path in ("/v2", f"/v2/models/{NAME}", "/v2/health/ready", "/v1/models"):
        assert service.ask("GET", path).status == http.client.OK, path
    told = service.ask("GET", "/v2").json()
    assert (told["name"], told["version"]) == (project["name"], project["version"])


def test_records_are_answered_while_their_stream_is_sent(
    installed: Settings, service: Service, right: list[float]
) -> None:
    # By HTTP/2: where HTTP/1.1 is answered before its end, a gateway may take from what is still to come.
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
            for value, expected in zip(VALUES, right, strict=True):
                curl.stdin.write(f'{{"instance": {value!r}}}\n'.encode())
                curl.stdin.flush()
                assert curl.stdout.readline() == f'{{"prediction":{expected!r}}}\n'.encode()
        curl.stdin.close()
        assert curl.stdout.read() == b""
    assert curl.returncode == 0


def test_docs_and_the_front_page_are_there(installed: Settings, service: Service) -> None:
    for path in ("/", "/docs", "/openapi.json"):
        assert service.ask("GET", path).status == http.client.OK


async def _kserve_client(service: Service) -> list[float]:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    tensor = InferInput(name="instances", shape=[4, 1], datatype="FP64", data=VALUES)
    answer = await client.infer(
        service.ingress, InferRequest(NAME, [tensor]), headers={"Host": service.host}, model_name=NAME
    )
    return [float(value) for value in answer.outputs[0].data]


def test_kserves_own_client_gets_the_same_numbers(
    installed: Settings, service: Service, right: list[float]
) -> None:
    assert asyncio.run(_kserve_client(service)) == right


def test_curl_gets_the_same_number(installed: Settings, service: Service, right: list[float]) -> None:
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
    assert answer == f'{{"prediction":{right[2]!r}}}'


def test_pod_security_is_enforced_at_restricted(installed: Settings) -> None:
    labels = get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(RuntimeError, match="violates PodSecurity"):
        kubectl("-n", NAMESPACE, "run", "intruder", "--image=any", "--restart=Never")
