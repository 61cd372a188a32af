"""A table of numbers, booleans and categories has one answer over every transport and in every form."""

import json
from base64 import b64encode
from collections.abc import Iterator

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.support.http import PATIENCE, post
from tests.support.models import mixed_model
from tests.support.server import NAME, Server, start_predictor
from tests.support.typed import GRPC, MIXED_ROWS, V1, V2, Form, forms, prediction, predictions


@pytest.fixture(scope="module")
def mixed_server() -> Iterator[Server]:
    with start_predictor(mixed_model()) as running:
        yield running


def send(server: Server, form: Form, *, in_chunks: bool = False) -> bytes:
    """Send a form over HTTP, or over gRPC."""
    if form.path == GRPC:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            message = pb.ModelInferRequest.FromString(form.body)
            response = GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=PATIENCE)
        return bytes(response.SerializeToString())
    headers = {"content-type": form.media.decode()}
    if form.json_length:
        headers["inference-header-content-length"] = form.json_length.decode()
    with server.connect() as connection:
        chunk_size = max(1, len(form.body) // 3) if in_chunks else 0
        connection.send(post(form.path, form.body, headers, chunk_size=chunk_size))
        response = connection.read_response()
    assert response.status == 200, (form.name, response.body)
    return bytes(response.body)


@pytest.mark.parametrize("count", [1, 300])
def test_a_table_has_one_answer_over_every_transport(mixed_server: Server, count: int) -> None:
    rows = MIXED_ROWS * count
    expected = [prediction(row) for row in rows]
    for form in forms(rows):
        for in_chunks in (False, True):
            found = predictions(form, send(mixed_server, form, in_chunks=in_chunks))
            assert found == pytest.approx(expected, rel=1e-15), form.name


def test_events_carry_typed_rows_and_tensors(mixed_server: Server) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}
    for form in forms(MIXED_ROWS):
        if form.path not in (V1, V2) or form.json_length:
            continue
        data = {"datacontenttype": "application/json", "data_base64": b64encode(form.body).decode()}
        whole = {**event, "data": json.loads(form.body)}
        for body in (whole, {**event, **data}):
            sent = Form(form.name, form.path, json.dumps(body).encode(), b"application/cloudevents+json")
            answered = json.loads(send(mixed_server, sent))["data"]
            found = predictions(form, json.dumps(answered).encode())
            assert found == pytest.approx([prediction(row) for row in MIXED_ROWS], rel=1e-15)


def test_metadata_are_the_same_over_rest_and_grpc(mixed_server: Server) -> None:
    with mixed_server.http as client:
        rest = client.get(f"/v2/models/{NAME}").json()["inputs"]
    with grpc.insecure_channel(f"127.0.0.1:{mixed_server.grpc_port}") as channel:
        request = pb.ModelMetadataRequest(name=NAME)
        found = GRPCInferenceServiceStub(channel).ModelMetadata(request, timeout=PATIENCE).inputs
    assert [(one.name, one.datatype, list(one.shape)) for one in found] == [
        (one["name"], one["datatype"], one["shape"]) for one in rest
    ]
    assert [one["datatype"] for one in rest] == ["FP64", "FP64", "BOOL", "BYTES", "BYTES"]
