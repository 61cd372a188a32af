"""CloudEvents on a real server: with the CloudEvents SDK that KServe uses, and event by event."""

import gzip
import json
from base64 import b64encode
from typing import Any

import httpx
import numpy as np
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

from tests.support.server import NAME, Server

V1, EXPLAIN, V2 = f"/v1/models/{NAME}:predict", f"/v1/models/{NAME}:explain", f"/v2/models/{NAME}/infer"
ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "example"}
STRUCTURED = "application/cloudevents+json"
DATA = {"instances": [[0.5]]}
PREDICTIONS = {"predictions": [621.125]}
SECRET = "0.8128128"


def post(client: httpx.Client, event: dict[str, Any], media: str = STRUCTURED, path: str = V1) -> Any:
    return client.post(path, content=json.dumps(event), headers={"content-type": media})


@pytest.mark.parametrize("encode", [to_binary, to_structured])
@pytest.mark.parametrize(
    ("path", "data"),
    [
        (V1, DATA),
        (EXPLAIN, DATA),
        (V2, {"inputs": [{"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}),
    ],
)
def test_answers_an_event_of_the_sdk_in_the_same_mode(
    client: httpx.Client, encode: Any, path: str, data: object
) -> None:
    headers, body = encode(CloudEvent({"source": "/tests", "type": "example", "tenant": "t1"}, data))
    answer = client.post(path, content=body, headers=headers)
    event = from_http(dict(answer.headers), answer.content)
    assert event.get_data() == client.post(path, json=data).json()
    assert (event["type"], event["source"]) == ("io.kserve.inference.response", f"io.kserve.inference.{NAME}")
    assert (event["specversion"], event["time"][-6:]) == ("1.0", "+00:00")
    assert ("ce-id" in answer.headers) == (encode is to_binary)
    media = "application/json" if encode is to_binary else STRUCTURED
    assert answer.headers["content-type"] == media
    again = client.post(path, content=body, headers=headers)
    assert from_http(dict(again.headers), again.content)["id"] != event["id"]


@pytest.mark.parametrize(
    "media", [STRUCTURED, f"{STRUCTURED}; charset=utf-8", f'{STRUCTURED};charset="UTF-8"', STRUCTURED.upper()]
)
@pytest.mark.parametrize(
    "more",
    [
        {"data": DATA},
        {"data": DATA, "time": "2026-11-29T13:47:00Z"},
        {"data": DATA, "time": None, "subject": None, "datacontenttype": None, "data_base64": None},
        {"data": DATA, "tenant": "t1", "attempt": 3, "sampled": True, "traceparent": "00-1-2-01"},
        {"data": DATA, "datacontenttype": "application/json; charset=utf-8"},
        {"data": DATA, "datacontenttype": "text/json"},
        {"data": DATA, "datacontenttype": "application/problem+json"},
        {"data_base64": b64encode(json.dumps(DATA).encode()).decode()},
        {"data": DATA, "specversion": "0.3"},
    ],
)
def test_reads_structured_events(client: httpx.Client, media: str, more: dict[str, Any]) -> None:
    answer = post(client, ATTRIBUTES | more, media)
    assert (answer.status_code, answer.json().get("data")) == (200, PREDICTIONS)


def test_reads_the_same_numbers_as_without_an_event(client: httpx.Client) -> None:
    numbers = "[0.1, 1e-320, 123456789012345678901234567890, -0.0, 5e-324]"
    body = f'{{"instances": {numbers}}}'
    event = json.dumps(ATTRIBUTES)[:-1] + f', "data": {body}}}'
    found = client.post(V1, content=event, headers={"content-type": STRUCTURED}).json()["data"]
    assert found == client.post(V1, content=body).json()


def test_reads_and_writes_compressed_events(client: httpx.Client) -> None:
    event = json.dumps(ATTRIBUTES | {"data": {"instances": [0.5] * 1000}}).encode()
    headers = {"content-type": STRUCTURED, "content-encoding": "gzip", "accept-encoding": "gzip"}
    answer = client.post(V1, content=gzip.compress(event), headers=headers)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["data"] == {"predictions": [621.125] * 1000}


def test_answers_binary_tensors_in_both_modes(client: httpx.Client) -> None:
    raw = np.array([[0.5], [0.25]], "<f8").tobytes()
    tensor: dict[str, object] = {"name": "instances", "shape": [2, 1], "datatype": "FP64"}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference-header-content-length": str(len(head))}
    media = "application/octet-stream"
    plain = client.post(V2, content=head + raw, headers=length | {"content-type": media})
    assert plain.content.endswith(np.array([621.125, 386.5625]).tobytes())

    attributes = {f"ce-{name}": value for name, value in ATTRIBUTES.items()}
    answer = client.post(V2, content=head + raw, headers=attributes | length | {"content-type": media})
    assert (answer.content, answer.headers["content-type"]) == (plain.content, media)

    event = ATTRIBUTES | {"datacontenttype": media, "data_base64": b64encode(head + raw).decode()}
    answer = client.post(V2, json=event, headers=length | {"content-type": STRUCTURED})
    assert answer.json()["data_base64"] == b64encode(plain.content).decode()
    assert answer.json()["datacontenttype"] == media
    name = "inference-header-content-length"
    assert answer.headers[name] == plain.headers[name]


@pytest.mark.parametrize(
    ("event", "media", "status", "message"),
    [
        ([ATTRIBUTES | {"data": DATA}], "application/cloudevents-batch+json", 415, "one event in a request"),
        (ATTRIBUTES | {"data": DATA}, "application/cloudevents+xml", 415, f"use {STRUCTURED}"),
        (ATTRIBUTES | {"data": DATA}, f"{STRUCTURED}; charset=utf-16", 415, "unsupported charset"),
        (
            ATTRIBUTES | {"data": "<a/>", "datacontenttype": "application/xml"},
            STRUCTURED,
            415,
            "application/xml",
        ),
        (ATTRIBUTES, STRUCTURED, 400, "has no data"),
        (ATTRIBUTES | {"data": DATA, "data_base64": "e30="}, STRUCTURED, 400, "both data and data_base64"),
        ({"data": DATA}, STRUCTURED, 400, "missing required field `specversion`"),
        (ATTRIBUTES | {"data": {"instances": []}}, STRUCTURED, 400, "instances: expected at least one"),
    ],
)
def test_refuses_an_event_and_says_why(
    client: httpx.Client, event: object, media: str, status: int, message: str
) -> None:
    answer = client.post(V1, content=json.dumps(event), headers={"content-type": media})
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_counts_events_under_their_own_transport_and_logs_none_of_their_values(
    server: Server, client: httpx.Client
) -> None:
    def count(code: int) -> float:
        model = f'model="{NAME}",traffic="user",transport="cloudevents",version="7"'
        return server.metric(f'predictor_requests_total{{code="{code}",endpoint="v1_predict",{model}}}')

    good = ATTRIBUTES | {"data": {"instances": [float(SECRET)]}, "tenant": SECRET}
    bad = good | {"specversion": SECRET, "id": SECRET}
    assert [post(client, event).status_code for event in (good, bad)] == [200, 400]
    before = count(200), count(400)
    answers = [post(client, event) for event in (good, bad)]
    assert (count(200), count(400)) == (before[0] + 1, before[1] + 1)
    for answer in answers:
        assert SECRET not in f"{answer.text}{answer.headers}"
    assert SECRET not in server.log.read_text()


def test_takes_events_only_as_post(client: httpx.Client) -> None:
    answer = client.get(V1, headers={"content-type": STRUCTURED})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
