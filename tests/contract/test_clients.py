"""KServe's own Python clients, REST and gRPC, against the predictor."""

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.support.server import NAME, Server


def request(values: "np.ndarray[Any, Any]", *, binary: bool) -> InferRequest:
    tensor = InferInput("instances", list(values.shape), "FP64")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(NAME, [tensor], request_id="a")


def test_rest_client_predicts_and_explains_in_v1(server: Server) -> None:
    async def ask() -> tuple[Any, Any, bool, bool]:
        client = InferenceRESTClient(RESTConfig(protocol="v1"))
        instances = {"instances": [[0.5], [0.25]]}
        return (
            await client.infer(server.url, instances, model_name=NAME),
            await client.explain(server.url, NAME, instances),
            await client.is_server_live(server.url),
            await client.is_model_ready(server.url, NAME),
        )

    predicted, explained, live, ready = asyncio.run(ask())
    assert predicted == {"predictions": [621.125, 386.5625]}
    assert [item["prediction"] for item in explained["explanations"]] == [621.125, 386.5625]
    assert live
    assert ready


@pytest.mark.parametrize("binary", [True, False])
def test_rest_client_infers_in_v2(server: Server, binary: bool) -> None:
    async def ask() -> Any:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        assert await client.is_server_ready(server.url)
        assert await client.is_model_ready(server.url, NAME)
        values = np.array([[0.5], [0.25]])
        return await client.infer(server.url, request(values, binary=binary), model_name=NAME)

    answer = asyncio.run(ask())
    assert answer.outputs[0].name == "predictions"
    assert answer.outputs[0].as_numpy().tolist() == [621.125, 386.5625]


@pytest.mark.parametrize("binary", [True, False])
def test_grpc_client_infers(server: Server, binary: bool) -> None:
    async def ask() -> Any:
        client = InferenceGRPCClient(f"127.0.0.1:{server.grpc_port}")
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(NAME)
        return await client.infer(request(np.array([[0.5], [0.25]]), binary=binary))

    answer = asyncio.run(ask())
    assert (answer.id, answer.model_name, answer.model_version) == ("a", NAME, "7")
    assert answer.outputs[0].as_numpy().tolist() == [621.125, 386.5625]


def stub(server: Server) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))


def test_grpc_metadata_describes_the_tensors(server: Server) -> None:
    metadata = stub(server).ModelMetadata(pb.ModelMetadataRequest(name=NAME))
    tensors = [
        (tensor.name, tensor.datatype, list(tensor.shape)) for tensor in (*metadata.inputs, *metadata.outputs)
    ]
    assert tensors == [("instances", "FP64", [-1, 1]), ("predictions", "FP64", [-1])]


def tensor(**changes: Any) -> pb.ModelInferRequest:
    whole: dict[str, Any] = {"name": "instances", "shape": [1, 1], "datatype": "FP64"}
    whole |= {"contents": {"fp64_contents": [0.5]}} | changes
    return pb.ModelInferRequest(model_name=NAME, inputs=[whole])


def test_grpc_takes_raw_numbers_beside_empty_contents(server: Server) -> None:
    """As MLServer's client sends them."""
    message = tensor(contents={})
    assert message.inputs[0].HasField("contents")
    message.raw_input_contents.append(np.array([0.5]).tobytes())
    answer = stub(server).ModelInfer(message)
    assert np.frombuffer(answer.raw_output_contents[0]).tolist() == [621.125]
    message.inputs[0].contents.fp64_contents.append(0.5)
    with pytest.raises(grpc.RpcError, match="not allowed together with raw_input_contents"):
        stub(server).ModelInfer(message)


def numbers(*values: float) -> dict[str, list[float]]:
    return {"fp64_contents": list(values)}


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (pb.ModelInferRequest(model_name=NAME), 'inputs: missing feature "bmi"'),
        (tensor(name="x", shape=[1]), 'inputs: missing feature "bmi"; unknown feature "x"'),
        (tensor(shape=[2, 1]), "inputs[0]: shape [2, 1] needs 2 numbers, got 1"),
        (tensor(shape=[1, 2]), "inputs[0]: shape [1, 2] needs 2 numbers, got 1"),
        (tensor(datatype="BYTES"), "inputs[0].datatype: expected one of FP64"),
        (tensor(datatype="NONSENSE"), "inputs[0].datatype: expected one of FP64, FP32"),
        (tensor(contents=numbers(float("nan"))), "instances[0]: nan for bmi is not a finite number"),
        (tensor(contents=numbers(1e308)), "instances[0]: the prediction is beyond the range of a double"),
    ],
)
def test_grpc_error_says_what_is_wrong(server: Server, message: pb.ModelInferRequest, details: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub(server).ModelInfer(message)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith(details)


def test_grpc_reports_an_unknown_model_as_not_found(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub(server).ModelInfer(pb.ModelInferRequest(model_name="other"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_grpc_repository_needs_the_admin_token(server: Server) -> None:
    for metadata, code in (
        ((), "UNAUTHENTICATED"),
        ((("authorization", "Bearer wrong"),), "UNAUTHENTICATED"),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            stub(server).RepositoryModelUnload(
                pb.RepositoryModelUnloadRequest(model_name=NAME), metadata=metadata
            )
        assert caught.value.code().name == code
    assert stub(server).ModelReady(pb.ModelReadyRequest(name=NAME)).ready


def test_grpc_repository_accepts_the_admin_token(server: Server, admin_header: dict[str, str]) -> None:
    metadata = (("authorization", admin_header["Authorization"]),)
    load = pb.RepositoryModelLoadRequest(model_name=NAME)
    assert stub(server).RepositoryModelLoad(load, metadata=metadata).isLoaded
