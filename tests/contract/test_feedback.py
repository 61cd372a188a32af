"""What is predicted is kept by its id, and what came true is stored before it is answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pyarrow.parquet as pq
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.contract.test_openapi import explore

if TYPE_CHECKING:
    from tests.contract.conftest import Server, StartServer

V2 = {"inputs": [{"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def keeping(start_server: "StartServer", store: Path) -> Iterator["Server"]:
    with start_server(feedback_url=store) as running:
        yield running


def kept(store: Path, kind: str) -> dict[tuple[str, int], dict[str, Any]]:
    files = store.glob(f"{kind}/*/*.parquet")
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    return {(row["_id"], row["_row"]): row for row in rows}


def test_every_way_in_is_kept_by_its_id(keeping: "Server", store: Path) -> None:
    given: dict[str, list[float]] = {}
    with keeping.http as client:
        for answer in (
            client.post("/stream", json={"instance": 0.5}),
            client.post("/stream", json={"instance": 0.5}, headers={"X-Request-Id": "order-17"}),
            client.post("/stream", content=iter([b'{"instance": 0.5}'])),
            client.get("/stream/0.5"),
            client.post("/batch", content=b"bmi\n0.5\n", headers={"content-type": "text/csv"}),
            client.post("/v1/models/linear-regressor:predict", json={"instances": [0.5]}),
            client.post("/v2/models/linear-regressor/infer", json=V2),
            client.post("/v2/models/linear-regressor/infer", json={**V2, "id": "named-in-the-body"}),
        ):
            assert answer.status_code == 200, answer.text
            given[answer.headers["x-request-id"]] = [0.5]
        answer = client.post("/batch", json={"instances": [0.25, 0.75]}, headers={"X-Request-Id": "two"})
        given[answer.headers["x-request-id"]] = [0.25, 0.75]
    with grpc.insecure_channel(f"127.0.0.1:{keeping.grpc_port}") as channel:
        tensor = pb.ModelInferRequest.InferInputTensor(
            name="instances",
            shape=[1, 1],
            datatype="FP64",
            contents=pb.InferTensorContents(fp64_contents=[0.5]),
        )
        request = pb.ModelInferRequest(model_name="linear-regressor", inputs=[tensor], id="by-grpc")
        assert GRPCInferenceServiceStub(channel).ModelInfer(request).id == "by-grpc"
        given["by-grpc"] = [0.5]
    assert {"order-17", "two", "named-in-the-body"} < set(given)
    assert len(given) == 10
    keeping.process.terminate()
    assert keeping.process.wait(60) == 0
    found = kept(store, "predictions")
    assert {key: row["bmi"] for key, row in found.items()} == {
        (name, place): value for name, values in given.items() for place, value in enumerate(values)
    }
    for row in found.values():
        assert row["_version"] == "7"
        assert row["_prediction"] == 938.25 * row["bmi"] + 152.0


def test_records_of_a_stream_are_kept_by_their_place(keeping: "Server", store: Path) -> None:
    lines = b'{"instance": 0.25}\n{"instance": 0.5}\nnonsense\n{"instance": 0.75}\n'
    headers = {"content-type": "application/x-ndjson", "x-request-id": "sensor-3"}
    with keeping.http as client:
        answer = client.post("/stream", content=iter([lines[:30], lines[30:]]), headers=headers)
        assert answer.headers["x-request-id"] == "sensor-3"
        assert len(answer.text.splitlines()) == 4
        told = {"id": "sensor-3", "row": 3, "target": 900}
        assert client.post("/feedback", json=told).json() == {"stored": 1}
    keeping.process.terminate()
    assert keeping.process.wait(60) == 0
    found = kept(store, "predictions")
    assert {place: row["bmi"] for (_, place), row in found.items()} == {0: 0.25, 1: 0.5, 3: 0.75}
    assert {row["_prediction"] for row in found.values()} == {938.25 * x + 152 for x in (0.25, 0.5, 0.75)}
    assert kept(store, "truths")["sensor-3", 3]["_target"] == 900.0


def test_what_is_refused_is_not_kept(keeping: "Server", store: Path) -> None:
    with keeping.http as client:
        answer = client.post("/stream", json={"instance": "high"})
        assert answer.status_code == 400
        assert "x-request-id" not in answer.headers
    keeping.process.terminate()
    assert keeping.process.wait(60) == 0
    assert kept(store, "predictions") == {}


def test_a_truth_is_stored_before_it_is_answered(keeping: "Server", store: Path) -> None:
    with keeping.http as client:
        assert client.post("/feedback", json={"id": "order-17", "target": 600}).json() == {"stored": 1}
        keeping.process.kill()
    (row,) = kept(store, "truths").values()
    assert (row["_id"], row["_row"], row["_target"]) == ("order-17", 0, 600.0)


def test_a_store_that_is_away_slows_no_prediction(start_server: "StartServer", store: Path) -> None:
    store.write_text("a file where the folder should be")
    with start_server(feedback_url=store, answer_seconds=0.5) as running, running.http as client:
        answer = client.post("/feedback", json={"id": "a", "target": 1})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert client.post("/stream", json={"instance": 0.5}).status_code == 200
        shown = client.get("/metrics").text
        assert 'feedback_kept_total{kind="truths"} 1.0' in shown
        assert 'feedback_store_failures_total{kind="truths"} 0.0' not in shown
        assert 'feedback_waiting_bytes{kind="truths"} 208.0' in shown
    assert "can't be stored, and wait" in running.log.read_text()


def test_where_there_is_no_room_truths_are_told_so_and_predictions_are_lost(
    start_server: "StartServer", store: Path
) -> None:
    with start_server(feedback_url=store, feedback_bytes=1) as running, running.http as client:
        answer = client.post("/feedback", json={"id": "a", "target": 1})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert client.post("/stream", json={"instance": 0.5}).status_code == 200
        assert 'feedback_lost_total{kind="predictions"} 1.0' in client.get("/metrics").text


def test_nobody_is_told_of_a_path_that_keeps_nothing(client: httpx.Client) -> None:
    answer = client.post("/feedback", json={"id": "a", "target": 1})
    assert (answer.status_code, "feedback_url" in answer.text) == (404, True)
    assert "/feedback" not in client.get("/openapi.json").json()["paths"]
    assert "x-request-id" not in client.post("/stream", json={"instance": 0.5}).headers


def test_a_server_that_keeps_is_as_its_document_says(start_server: "StartServer", store: Path) -> None:
    with start_server(feedback_url=store, feedback_seconds=0.001) as keeping:
        found = explore(keeping.url, "examples,coverage", "--include-path", "/feedback")
    assert found.returncode == 0, found.stdout[-8000:]
