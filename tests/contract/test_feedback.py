"""Predictions are recorded by their id, and true values are stored before they are confirmed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pyarrow.parquet as pq
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.support.processes import wait_until
from tests.support.server import Server, api_key_line, start_predictor

V2 = {"inputs": [{"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}

Rows = dict[tuple[str, int], dict[str, Any]]
"""Stored rows by the id of their request and their place in it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the recording server."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def recording_server(store: Path) -> Iterator[Server]:
    """A server that writes at once what it records."""
    with start_predictor(feedback_url=store, feedback_seconds=0.001) as running:
        yield running


def all_stored(store: Path, kind: str) -> list[dict[str, Any]]:
    files = store.glob(f"{kind}/*/*.parquet")
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def stored(store: Path, kind: str) -> Rows:
    return {(row["_id"], row["_row"]): row for row in all_stored(store, kind)}


def request_id(client: httpx.Client, path: str, **request: Any) -> str:
    answer = client.post(path, **request)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"]


def predict_in_every_way(server: Server) -> dict[str, list[float]]:
    """Return the values that were predicted from, by the ids of the requests."""
    v1, v2 = "/v1/models/linear-regressor:predict", "/v2/models/linear-regressor/infer"
    one, csv = {"instance": 0.5}, {"content-type": "text/csv"}
    with server.http as client:
        ids = [
            request_id(client, "/stream", json=one),
            request_id(client, "/stream", json=one, headers={"X-Request-Id": "order-17"}),
            request_id(client, "/stream", content=iter([b'{"instance": 0.5}'])),
            client.get("/stream/0.5").headers["x-request-id"],
            request_id(client, "/batch", content=b"bmi\n0.5\n", headers=csv),
            request_id(client, v1, json={"instances": [0.5]}),
            request_id(client, v2, json=V2),
            request_id(client, v2, json={**V2, "id": "named-in-the-body"}),
        ]
        two = {"json": {"instances": [0.25, 0.75]}, "headers": {"X-Request-Id": "two"}}
        assert request_id(client, "/batch", **two) == "two"
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        contents = {"fp64_contents": [0.5]}
        tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": contents}
        request = pb.ModelInferRequest(model_name="linear-regressor", inputs=[tensor], id="by-grpc")
        assert GRPCInferenceServiceStub(channel).ModelInfer(request).id == "by-grpc"
    assert {"order-17", "named-in-the-body"} < set(ids)
    return {name: [0.5] for name in (*ids, "by-grpc")} | {"two": [0.25, 0.75]}


def test_stores_true_values_before_a_kill_and_predictions_before_a_normal_end(tmp_path: Path) -> None:
    with start_predictor(feedback_url=tmp_path) as killed, killed.http as client:
        truth = {"id": "order-17", "target": 600}
        assert client.post("/feedback", json=truth).json() == {"stored": 1}
        killed.process.kill()
        killed.process.wait()
        (row,) = stored(tmp_path, "truths").values()
        assert (row["_id"], row["_row"], row["_target"]) == ("order-17", 0, 600.0)

        with start_predictor(killed.folder, feedback_url=tmp_path) as server:
            given = predict_in_every_way(server)
            assert len(given) == 10
            assert server.end() == 0
    found = stored(tmp_path, "predictions")
    assert {key: row["bmi"] for key, row in found.items()} == {
        (name, place): value for name, values in given.items() for place, value in enumerate(values)
    }
    for row in found.values():
        assert row["_version"] == "7"
        assert row["_prediction"] == 938.25 * row["bmi"] + 152.0


def test_stores_who_predicted_and_who_labelled(tmp_path: Path) -> None:
    """Over the fast path, ASGI, a stream of records, CloudEvents and gRPC alike."""
    scopes = {"shop": "predict,feedback", "audit": "feedback:all", "other": "predict"}
    keys = tmp_path / "keys"
    keys.write_text("".join(api_key_line(f"{name}-key", name, scope) for name, scope in scopes.items()))
    store = tmp_path / "store"
    with start_predictor(auth="required", api_keys=keys, feedback_url=store) as server:
        for name in ("shop", "other"):
            predict_as(name, server)
        with server.http as client:
            own, foreign = {"id": "fast", "target": 1}, {"id": "fast", "target": 2, "principal": "shop"}
            for sender, label, status in (
                ("shop", own, 200),
                ("other", own, 403),
                ("audit", own, 200),
                ("audit", foreign, 200),
                ("shop", foreign | {"principal": "other"}, 403),
            ):
                answer = client.post("/feedback", json=label, headers={"x-api-key": f"{sender}-key"})
                assert answer.status_code == status, answer.text
        assert server.end() == 0
    rows = all_stored(store, "predictions")
    ways = ("fast", "fast", "asgi", "records", "event", "grpc")
    assert sorted((row["_id"], row["_principal"]) for row in rows) == sorted(
        (way, name) for way in ways for name in ("shop", "other")
    )
    labels = [(row["_principal"], row["_for"], row["_target"]) for row in all_stored(store, "truths")]
    assert sorted(labels, key=str) == [("audit", "shop", 2.0), ("audit", None, 1.0), ("shop", "shop", 1.0)]


def predict_as(name: str, server: Server) -> None:
    """Predict one row in each way, with an id that says which."""
    row, headers = {"instance": 0.5}, {"x-api-key": f"{name}-key"}
    event = {"ce-specversion": "1.0", "ce-type": "x", "ce-source": "x", "ce-id": "event"}
    v1 = "/v1/models/linear-regressor:predict"
    with server.http as client:
        for _ in range(2):  # the second time with a credential that is known
            request_id(client, "/stream", json=row, headers=headers | {"x-request-id": "fast"})
        content = iter([b'{"instance": 0.5}'])
        request_id(client, "/stream", content=content, headers=headers | {"x-request-id": "asgi"})
        records = headers | {"x-request-id": "records", "content-type": "application/x-ndjson"}
        request_id(client, "/stream", content=b'{"instance": 0.5}', headers=records)
        request_id(client, v1, json={"instances": [0.5]}, headers=headers | event)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        contents = {"fp64_contents": [0.5]}
        tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "contents": contents}
        request = pb.ModelInferRequest(model_name="linear-regressor", inputs=[tensor], id="grpc")
        GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=[("x-api-key", f"{name}-key")])


def test_records_each_row_of_a_stream_by_its_place(recording_server: Server, store: Path) -> None:
    lines = b'{"instance": 0.25}\n{"instance": 0.5}\nnonsense\n{"instance": 0.75}\n'
    headers = {"content-type": "application/x-ndjson", "x-request-id": "sensor-3"}

    def rows() -> dict[int, dict[str, Any]]:
        predictions = stored(store, "predictions")
        return {place: row for (name, place), row in predictions.items() if name == "sensor-3"}

    with recording_server.http as client:
        answer = client.post("/stream", content=iter([lines[:30], lines[30:]]), headers=headers)
        assert answer.headers["x-request-id"] == "sensor-3"
        assert len(answer.text.splitlines()) == 4
        truth = {"id": "sensor-3", "row": 3, "target": 900}
        assert client.post("/feedback", json=truth).json() == {"stored": 1}
    assert stored(store, "truths")["sensor-3", 3]["_target"] == 900.0
    wait_until(lambda: len(rows()) == 3, what="three rows to be stored")
    assert {place: row["bmi"] for place, row in rows().items()} == {0: 0.25, 1: 0.5, 3: 0.75}
    assert {row["_prediction"] for row in rows().values()} == {938.25 * x + 152 for x in (0.25, 0.5, 0.75)}


def test_does_not_record_what_is_refused(recording_server: Server, store: Path) -> None:
    with recording_server.http as client:
        before = stored(store, "predictions").keys()
        answer = client.post("/stream", json={"instance": "high"})
        assert answer.status_code == 400
        accepted = request_id(client, "/stream", json={"instance": 0.5})
        wait_until(lambda: (accepted, 0) in stored(store, "predictions"), what="the row to be stored")
    assert stored(store, "predictions").keys() == {*before, (accepted, 0)}


def test_an_unavailable_store_delays_no_prediction(tmp_path: Path) -> None:
    """Requests wait for the store as long as there is room: for one truth and one prediction here."""
    store = tmp_path / "store"
    store.write_text("a file in the place of the folder")
    with (
        start_predictor(feedback_url=store, feedback_bytes=600, answer_seconds=0.5) as running,
        running.http as client,
    ):
        for _ in range(2):
            answer = client.post("/feedback", json={"id": "a", "target": 1})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert running.metric('predictor_feedback_recorded_total{kind="truths"}') == 1
            assert running.metric('predictor_feedback_waiting_bytes{kind="truths"}') == 408
            assert client.post("/stream", json={"instance": 0.5}).status_code == 200
            assert running.metric('predictor_feedback_recorded_total{kind="predictions"}') == 1
        for kind in ("truths", "predictions"):
            assert running.metric(f'predictor_feedback_lost_total{{kind="{kind}"}}') == 1
        wait_until(lambda: "could not store truths, will retry" in running.log.read_text(), what="a failure")
        assert running.metric('predictor_feedback_store_failures_total{kind="truths"}') > 0

        store.unlink()
        wait_until(lambda: ("a", 0) in stored(store, "truths"), what="the truth to be stored")
        assert running.end() == 0
    assert len(stored(store, "predictions")) == 1


def test_without_a_store_there_is_no_feedback_path(client: httpx.Client) -> None:
    answer = client.post("/feedback", json={"id": "a", "target": 1})
    assert (answer.status_code, "PREDICTOR_FEEDBACK_URL" in answer.text) == (404, True)
    assert "/feedback" not in client.get("/openapi.json").json()["paths"]
