# ruff: noqa: E501  lists of odd things read better in few lines
"""The same document gets the same answer at every size, by the fast path, by ASGI and by gRPC."""

import json
import re

import grpc
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.support.http import Connection, post
from tests.support.server import NAME, Server

V1, V2 = f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
SIZES = (250, 260, 1020, 1030, 2**14 - 4, 2**14 + 4, 2**17 - 4, 2**17 + 4, 2**19 + 4, 2**20 - 4, 2**20 + 90)
"""On both sides of each size at which another reader or another thread is asked."""

TENSOR = '{"name": "instances", "shape": [2, 1], "datatype": "%s", "data": %s}'
DOCUMENTS = [
    *(("/stream", f'{{"instance": {row}}}') for row in ("0.5", "[0.5]", '{"bmi": 0.5}', "null", "NaN", "[1, 2]", "1e999")),
    ("/stream", '{"instance": 0.5, "x": 1}'),
    ("/stream", '{"instance": null, "instance": 0.5}'),
    *(
        (path, f'{{"instances": [[0.5] , {row}]}}')
        for path in ("/batch", V1)
        for row in ("[0.5]", "0.5", '{"bmi": 0.5}', "null", "[]", "[[0.5]]", '"],["', "18446744073709551617", "-Infinity")
    ),
    ("/batch", '{"instances": [1], "x": 1}'),
    (V1, '{"x": {"instances": [3]}, "instances": [1], "parameters": [2]}'),
    (V1, '{"inputs": {"bmi": [0.5, 1]}}'),
    *(
        (V2, f'{{"id": "a", "inputs": [{TENSOR % tensor}], "parameters": {{"data": [7, 7]}}}}')
        for tensor in (
            ("FP64", "[0.5, 1]"), ("FP64", "[[0.5], [1]]"), ("FP64", "[[0.5, 1]]"), ("INT32", "[6.8, 1]"), ("UINT8", "[300, 1]"),
            ("INT64", "[9223372036854775808, 1]"), ("BOOL", "[true, 0]"), ("FP16", "[0.1, 1]"), ("FP64", "[1, null]"),
        )
    ),
    (V2, '{"id": "\\ud800", "inputs": []}'),
]  # fmt: skip


def ask(connection: Connection, path: str, body: bytes, chunk_size: int = 0) -> tuple[int, bytes]:
    """The status and the body of a response, without the place of a byte, which white space moves."""
    connection.send(post(path, body, chunk_size=chunk_size))
    response = connection.read_response()
    return response.status, re.sub(rb"byte \d+", b"byte", response.body)


@pytest.mark.parametrize(("path", "document"), DOCUMENTS)
def test_a_document_has_one_answer_at_every_size(server: Server, path: str, document: str) -> None:
    with server.connect() as connection:
        expected = ask(connection, path, document.encode())
        assert expected[0] in (200, 400)
        for size in SIZES:
            space = " " * (size - len(document))
            for text in (document + space, space + document, document.replace(": ", f":{space} ", 1)):
                assert ask(connection, path, text.encode()) == expected
            assert ask(connection, path, (document + space).encode(), chunk_size=2**16) == expected


@pytest.mark.parametrize("count", [1, 20, 700, 14_000, 120_000])
def test_all_protocols_predict_the_same(server: Server, count: int) -> None:
    values = [i / 8 for i in range(count)]
    rows = {"instances": [[value] for value in values]}
    tensor = {"name": "input-0", "shape": [count, 1], "datatype": "FP64", "data": values}
    documents = {
        "/batch": rows,
        V1: {"tags": [1, 2], "instances": [{"bmi": value} for value in values]},
        V2: {"parameters": {"data": values}, "inputs": [{"parameters": {"data": values}} | tensor]},
    }
    expected = [938.25 * value + 152 for value in values]
    with server.connect() as connection:
        for path, document in documents.items():
            for chunk_size in (0, 2**16):
                status, body = ask(connection, path, json.dumps(document).encode(), chunk_size)
                assert status == 200, body
                found = json.loads(body)
                assert (found["outputs"][0]["data"] if path == V2 else found["predictions"]) == expected
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        request = pb.ModelInferRequest(model_name=NAME)
        item = request.inputs.add(name="input-0", datatype="FP64", shape=[count, 1])
        item.contents.fp64_contents.extend(values)
        response = GRPCInferenceServiceStub(channel).ModelInfer(request)
        assert list(response.outputs[0].contents.fp64_contents) == expected
