"""Every endpoint of the table in docs/api.md, on a real server."""

import gzip
import json
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from tests.support.arrow import arrow_stream
from tests.support.server import NAME, Server

ARROW = "application/vnd.apache.arrow.stream"


@pytest.mark.parametrize("body", ['{"instance": 0.04}', '{"instance": [0.04]}', ' {"instance":4e-2}\n'])
def test_stream_answers_one_instance(client: httpx.Client, body: str) -> None:
    answer = client.post("/stream", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {"prediction": 938.25 * 0.04 + 152})


def test_stream_answers_an_instance_of_several_features(wide_client: httpx.Client) -> None:
    assert wide_client.post("/stream", json={"instance": [1, 10.0, 100]}).json() == {"prediction": 539.0}


@pytest.mark.parametrize(
    "media",
    ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "APPLICATION/JSON", None],
)
def test_accepts_the_content_types_that_clients_send_for_json(
    client: httpx.Client, media: str | None
) -> None:
    headers = {} if media is None else {"content-type": media}
    answer = client.post("/stream", content=b'{"instance": 0}', headers=headers)
    assert answer.json() == {"prediction": 152.0}


@pytest.mark.parametrize("rows", ["[[0.5],[0.2],[0.6]]", "[0.5,0.2,0.6]"])
def test_batch_answers_rows_and_a_flat_list(client: httpx.Client, rows: str) -> None:
    answer = client.post("/batch", content=f'{{"instances": {rows}}}')
    assert answer.json() == {"predictions": [938.25 * x + 152 for x in (0.5, 0.2, 0.6)]}


def test_batch_answers_a_hundred_thousand_rows(client: httpx.Client) -> None:
    rows = np.random.default_rng(0).normal(size=100_000)
    answer = client.post("/batch", json={"instances": rows.reshape(-1, 1).tolist()})
    np.testing.assert_array_equal(answer.json()["predictions"], rows * 938.25 + 152)


def test_batch_answers_csv_with_csv(client: httpx.Client) -> None:
    answer = client.post("/batch", content="0.5\n0\n", headers={"content-type": "text/csv; charset=utf-8"})
    assert (answer.headers["content-type"], answer.text) == ("text/csv", "prediction\r\n621.125\r\n152.0\r\n")


def test_a_csv_header_defines_the_order_of_columns(wide_client: httpx.Client) -> None:
    body = "s1,bmi,bp\r\n100,1,10\r\n"
    answer = wide_client.post("/batch", content=body, headers={"content-type": "text/csv"})
    assert answer.text == "prediction\r\n539.0\r\n"


def test_batch_answers_an_arrow_stream_with_an_arrow_stream(wide_client: httpx.Client) -> None:
    columns = {"s1": np.array([100, 0], np.int32), "bmi": np.array([1.0, 0.0])}
    body = arrow_stream(columns | {"bp": np.array([10.0, 0.0], np.float32)})
    answer = wide_client.post("/batch", content=body, headers={"content-type": ARROW})
    assert answer.headers["content-type"] == ARROW
    assert pa.ipc.open_stream(answer.content).read_all().to_pydict() == {"prediction": [539.0, 7.0]}


def test_accept_header_chooses_the_format_of_the_answer(client: httpx.Client) -> None:
    csv = {"content-type": "text/csv"}
    assert client.post("/batch", content="0", headers=csv | {"accept": "application/json"}).json() == {
        "predictions": [152.0]
    }
    answer = client.post("/batch", json={"instances": [0]}, headers={"accept": "text/csv;q=0.9, text/html"})
    assert answer.text == "prediction\r\n152.0\r\n"
    answer = client.post("/batch", json={"instances": [0]}, headers={"accept": ARROW})
    assert pa.ipc.open_stream(answer.content).read_all().to_pydict() == {"prediction": [152.0]}
    answer = client.post("/batch", json={"instances": [0]}, headers={"accept": "image/png"})
    assert answer.status_code == 406
    assert "text/csv" in answer.json()["error"]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_reads_and_writes_compressed_bodies(client: httpx.Client, coding: str) -> None:
    body = json.dumps({"instances": [0.25] * 1000}).encode()
    compressed = gzip.compress(body) if coding == "gzip" else zstandard.compress(body)
    headers = {"content-encoding": coding, "accept-encoding": coding}
    answer = client.post("/batch", content=compressed, headers=headers)
    assert answer.headers["content-encoding"] == coding
    assert answer.json() == {"predictions": [386.5625] * 1000}


@pytest.mark.parametrize("value", ["0.5", "-2e-1", "0", "1E2", "[0.5]"])
def test_stream_answers_a_value_in_the_path(client: httpx.Client, value: str) -> None:
    x = json.loads(value)
    x = x[0] if isinstance(x, list) else x
    for path in (f"/stream/{value}", f"/stream/{quote(value, safe='')}"):
        assert client.get(path).json() == {"prediction": 938.25 * x + 152}


def test_batch_answers_a_list_in_the_path(server: Server, client: httpx.Client) -> None:
    expected = {"predictions": [938.25 * x + 152 for x in (0.5, 0.2, 0.6)]}
    assert client.get("/batch/" + quote("[0.5,0.2,0.6]")).json() == expected
    raw = server.exchange(b"GET /batch/[0.5,0.2,0.6] HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert json.loads(raw.split(b"\r\n\r\n")[1]) == expected
    assert client.get("/batch/" + quote("[[0.5], [0.2], [0.6]]")).json() == expected


def test_root_is_a_page_for_browsers_and_json_for_other_clients(client: httpx.Client) -> None:
    page = client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith("<!doctype html>")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    index = client.get("/")
    assert index.json()["name"] == NAME
    assert index.json()["version"] == "7"


def test_ping_says_pong(client: httpx.Client) -> None:
    assert client.get("/ping").text == "pong"


def test_log_lists_the_last_requests_until_it_is_emptied(
    client: httpx.Client, admin_header: dict[str, str]
) -> None:
    client.get("/emptyLog", headers=admin_header)
    client.post("/stream", json={"instance": 0.25})
    client.get("/stream/0.5")
    entries = client.get("/log", headers=admin_header).json()["requests"]
    assert [(entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        ("POST", "/stream", 200),
        ("GET", "/stream/0.5", 200),
    ]
    assert entries[0]["response"] == '{"prediction":386.5625}'
    assert client.get("/emptyLog", headers=admin_header).json() == {"emptied": 2}
    assert client.get("/log", headers=admin_header).json() == {"requests": []}


@pytest.mark.parametrize("path", ["/log", "/emptyLog", "/telemetry", "/v2/repository/index"])
def test_administration_needs_the_admin_token(
    client: httpx.Client, wide_client: httpx.Client, path: str
) -> None:
    method = "POST" if "repository" in path else "GET"
    assert client.request(method, path).status_code == 401
    assert client.request(method, path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert wide_client.request(method, path).status_code == 404


def test_v1_lists_the_model_and_its_readiness(client: httpx.Client) -> None:
    assert client.get("/v1/models").json() == {"models": [NAME]}
    assert client.get(f"/v1/models/{NAME}").json() == {"name": NAME, "ready": True}


def test_v1_predicts(client: httpx.Client) -> None:
    answer = client.post(
        f"/v1/models/{NAME}:predict", json={"instances": [[0.5], [0.25]], "signature_name": "any"}
    )
    assert answer.json() == {"predictions": [621.125, 386.5625]}


def test_v1_contributions_add_up_to_the_prediction_exactly(wide_client: httpx.Client) -> None:
    rows = np.random.default_rng(1).normal(size=(20, 3)).tolist()
    predictions = wide_client.post(f"/v1/models/{NAME}:predict", json={"instances": rows}).json()[
        "predictions"
    ]
    explanations = wide_client.post(f"/v1/models/{NAME}:explain", json={"instances": rows}).json()[
        "explanations"
    ]
    for row, prediction, explanation in zip(rows, predictions, explanations, strict=True):
        bmi, bp, s1 = (explanation["contributions"][name] for name in ("bmi", "bp", "s1"))
        assert (bmi, bp, s1) == (2.0 * row[0], 3.0 * row[1], 5.0 * row[2])
        assert bmi + bp + s1 + explanation["intercept"] == explanation["prediction"] == prediction


def test_v2_metadata_describes_the_tensors(wide_client: httpx.Client) -> None:
    metadata = wide_client.get(f"/v2/models/{NAME}").json()
    assert metadata["inputs"] == [{"name": "instances", "datatype": "FP64", "shape": [-1, 3]}]
    assert metadata["outputs"] == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]
    assert metadata["versions"] == ["7"]
    assert wide_client.get(f"/v2/models/{NAME}/versions/7").json() == metadata
    assert wide_client.get("/v2").json()["name"] == "linear-regressor"
    assert wide_client.get("/v2/models").json() == {"models": [NAME]}


def test_v2_reports_health(client: httpx.Client) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{NAME}/ready").json() == {"name": NAME, "ready": True}


@pytest.mark.parametrize("data", [[1, 10, 100, 0, 0, 0], [[1, 10, 100], [0, 0, 0]]])
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64"])
def test_v2_infers_from_json(wide_client: httpx.Client, data: list[object], datatype: str) -> None:
    tensor = {"name": "instances", "shape": [2, 3], "datatype": datatype, "data": data}
    answer = wide_client.post(f"/v2/models/{NAME}/infer", json={"id": "a", "inputs": [tensor]}).json()
    assert answer == {
        "model_name": NAME,
        "model_version": "7",
        "id": "a",
        "outputs": [{"name": "predictions", "shape": [2], "datatype": "FP64", "data": [539.0, 7.0]}],
    }


def test_v2_accepts_one_tensor_for_each_feature(wide_client: httpx.Client) -> None:
    columns = {"s1": [100, 0], "bmi": [1, 0], "bp": [10, 0]}
    tensors = [
        {"name": name, "shape": [2, 1], "datatype": "FP64", "data": data} for name, data in columns.items()
    ]
    answer = wide_client.post(f"/v2/models/{NAME}/infer", json={"inputs": tensors}).json()
    assert answer["outputs"][0]["data"] == [539.0, 7.0]


@pytest.mark.parametrize("nested", [False, True])
def test_v2_infers_from_a_hundred_thousand_rows_of_json(client: httpx.Client, nested: bool) -> None:
    rows = np.random.default_rng(2).normal(size=100_000)
    data = rows.reshape(-1, 1).tolist() if nested else rows.tolist()
    tensor = {"name": "instances", "shape": [100_000, 1], "datatype": "FP64", "data": data}
    answer = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]}).json()
    np.testing.assert_array_equal(answer["outputs"][0]["data"], rows * 938.25 + 152)


@pytest.mark.parametrize(
    ("datatype", "dtype"), [("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("UINT8", "u1")]
)
def test_v2_infers_from_binary_tensors_and_answers_in_binary(
    wide_client: httpx.Client, datatype: str, dtype: str
) -> None:
    raw = np.array([[1, 10, 100], [0, 0, 0]], dtype=dtype).tobytes()
    tensor = {
        "name": "instances",
        "shape": [2, 3],
        "datatype": datatype,
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    answer = wide_client.post(
        f"/v2/models/{NAME}/infer",
        content=head + raw,
        headers={
            "inference-header-content-length": str(len(head)),
            "content-type": "application/octet-stream",
        },
    )
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(answer.content[length:]).tolist() == [539.0, 7.0]


def test_metrics_count_requests(server: Server, client: httpx.Client) -> None:
    client.get("/stream/0")  # a counter is not shown before it counts
    traffic = f'model="{NAME}",traffic="user",transport="http",version="7"'
    sample = f'predictor_requests_total{{code="200",endpoint="stream",{traffic}}}'
    before = server.metric(sample)
    client.post("/stream", json={"instance": 1})
    client.get("/stream/1")
    assert server.metric(sample) == before + 2
    text = client.get("/metrics").text
    assert 'predictor_model_info{digest="' in text
    assert "process_resident_memory_bytes" in text


def test_openapi_document_lists_every_endpoint(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = ["/", "/ping", "/stream", "/batch", "/log", "/emptyLog", "/metrics", "/v1/models", "/v2"]
    assert set(paths) <= set(document["paths"])
    assert client.get("/docs").headers["content-type"].startswith("text/html")


def test_refuses_an_unsupported_method_and_names_the_allowed_ones(client: httpx.Client) -> None:
    for method, path, allowed in (
        ("GET", "/stream", "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("PUT", "/batch", "POST"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_head_is_answered_as_get_without_a_body(client: httpx.Client) -> None:
    answer = client.head("/ping")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "4", b"")


@pytest.mark.parametrize(
    "path",
    ["/v1/models/other", "/v2/models/other", "/v2/models/other/ready", f"/v2/models/{NAME}/versions/8"],
)
def test_reports_another_model_or_version_as_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "this server has" in answer.json()["error"]


def test_reports_an_unknown_path_in_the_format_of_all_errors(client: httpx.Client) -> None:
    assert client.get("/nowhere").json() == {"error": "no such path; GET /docs lists those that exist"}


def test_a_cloud_event_is_answered_with_a_cloud_event(client: httpx.Client) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "test",
        "ce-type": "example",
        "content-type": "application/json",
    }
    answer = client.post(f"/v1/models/{NAME}:predict", json={"instances": [[0.5]]}, headers=headers)
    assert answer.json() == {"predictions": [621.125]}
    assert answer.headers["ce-specversion"] == "1.0"
