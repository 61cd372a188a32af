"""Each kind of invalid input is refused with what is wrong, and where."""

import gzip
import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from tests.support.arrow import arrow_stream
from tests.support.server import NAME

V1 = f"/v1/models/{NAME}:predict"
V2 = f"/v2/models/{NAME}/infer"

STREAM = [
    ("", "the body is empty"),
    ("  ", "the body is empty"),
    ("{", "the body is not JSON: it ends too early at byte 1"),
    ('{"instance": 1}x', "the body is not JSON: trailing characters at byte 15"),
    ('{"instance": 01}', "the body is not JSON: invalid number at byte 14"),
    ("[]", 'expected {"instance": ...}, got a list'),
    ("3", 'expected {"instance": ...}, got the number 3'),
    ("{}", 'the key "instance" is missing'),
    ('{"instances": [1]}', 'unknown key "instances"; use {"instance": ...}'),
    ('{"instance": 1, "x": 2}', 'unknown key "x"; use {"instance": ...}'),
    ('{"instance": null}', "instance: expected a number, got null"),
    ('{"instance": true}', "instance: expected a number, got true"),
    ('{"instance": "0.5"}', 'instance: expected a number, got the string "0.5"'),
    ('{"instance": {}}', 'instance: missing feature "bmi"'),
    ('{"instance": []}', "instance: expected 1 feature, got 0"),
    ('{"instance": [1, 2]}', "instance: expected 1 feature, got 2"),
    ('{"instance": [[1]]}', "instance[0]: expected a number, got a list of 1"),
    ('{"instance": NaN}', "instance: NaN is not a number that a double can hold"),
    ('{"instance": [-Infinity]}', "instance[0]: -Infinity is not a number that a double can hold"),
    ('{"instance": 1e999}', "instance: 1e999 is not a number that a double can hold"),
    (f'{{"instance": {"9" * 400}}}', f"instance: {'9' * 40} is not a number that a double can hold"),
    ('{"instance": 1e308}', "instance: the prediction is beyond the range of a double"),
    ('{"instance": ' + "[" * 100_000, "the body is nested too deeply"),
    ('{"instance": ' + "[" * 20_000 + "]" * 20_000 + "}", "the body is nested too deeply"),
]

ROWS = [
    ("null", "instances: expected a list, got null"),
    ("0.5", "instances: expected a list, got the number 0.5"),
    ('"abc"', 'instances: expected a list, got the string "abc"'),
    ("[]", "instances: expected at least one instance, got an empty list"),
    ("[[]]", "instances[0]: expected 1 feature, got 0"),
    ("[[1],[2],[3],[4,5]]", "instances[3]: expected 1 feature, got 2"),
    ("[[1],[2],[]]", "instances[2]: expected 1 feature, got 0"),
    ('[[1],["2"]]', 'instances[1][0]: expected a number, got the string "2"'),
    ("[[1],[null]]", "instances[1][0]: expected a number, got null"),
    ("[1,NaN]", "instances[1]: NaN is not a number that a double can hold"),
    ("[1,[[2]]]", "instances[1][0]: expected a number, got a list of 1"),
    ("[0,1e308]", "instances[1]: the prediction is beyond the range of a double"),
]


def instances(rows: str) -> str:
    return f'{{"instances": {rows}}}'


def refusal(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert list(document) == ["error"]
    return str(document["error"])


@pytest.mark.parametrize(("body", "message"), STREAM)
def test_stream_error_says_what_is_wrong(client: httpx.Client, body: str, message: str) -> None:
    assert refusal(client.post("/stream", content=body)) == message


@pytest.mark.parametrize("path", ["/batch", V1])
@pytest.mark.parametrize(("rows", "message"), ROWS)
def test_batch_and_v1_errors_name_the_invalid_row(
    client: httpx.Client, path: str, rows: str, message: str
) -> None:
    assert refusal(client.post(path, content=instances(rows))) == message


@pytest.mark.parametrize("bad", ['"x"', "[1,2]", "[]", "null", "NaN", "1e999"])
def test_names_the_invalid_row_among_a_hundred_thousand(client: httpx.Client, bad: str) -> None:
    rows = ["[0.125]"] * 100_000
    rows[90_001] = bad
    message = refusal(client.post("/batch", content=instances(f"[{','.join(rows)}]")))
    assert message.startswith("instances[90001]")


def test_names_the_row_that_overflows_among_a_hundred_thousand(client: httpx.Client) -> None:
    rows = ["[0.125]"] * 100_000
    rows[70_000] = "[-1e308]"
    message = refusal(client.post("/batch", content=instances(f"[{','.join(rows)}]")))
    assert message == "instances[70000]: the prediction is beyond the range of a double"


def test_batch_refuses_unknown_keys_and_v1_ignores_them(client: httpx.Client) -> None:
    body = {"instances": [1], "parameters": {}}
    message = refusal(client.post("/batch", json=body))
    assert message == 'unknown key "parameters"; use {"instances": [...]}'
    assert client.post(V1, json=body).status_code == 200


def test_accepts_integers_beyond_64_bits(client: httpx.Client) -> None:
    for number in ("9223372036854775808", "18446744073709551616", "1" + "0" * 300):
        expected = {"prediction": 938.25 * float(number) + 152}
        assert client.post("/stream", content=f'{{"instance": {number}}}').json() == expected
        batch = instances(f"[{','.join([number] * 200)}]")
        assert client.post("/batch", content=batch).json()["predictions"][199] == expected["prediction"]


def test_names_the_byte_that_is_not_utf8(client: httpx.Client) -> None:
    message = refusal(client.post("/stream", content=b'{"instance": \xff}'))
    assert message == "the body is not UTF-8: byte 13 is 0xff"


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/stream", "application/json, application/x-ndjson"),
        ("/batch", "application/json, text/csv, application/vnd.apache.arrow.stream"),
        (V1, "application/json"),
        (V2, "application/json, application/octet-stream"),
    ],
)
def test_refuses_unsupported_media_types_and_lists_the_supported_ones(
    client: httpx.Client, path: str, known: str
) -> None:
    message = refusal(client.post(path, content="<a/>", headers={"content-type": "application/xml"}), 415)
    assert message == f"unsupported content type application/xml; use {known}"
    utf_16 = {"content-type": "application/json; charset=utf-16"}
    message = refusal(client.post(path, content="{}", headers=utf_16), 415)
    assert message == "unsupported charset utf-16; use utf-8"
    message = refusal(client.post(path, content="{}", headers={"content-encoding": "br"}), 415)
    assert message == "unsupported content encoding br; use gzip, zstd or deflate"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abc", "the value in the path is not JSON: invalid character at byte 0"),
        ("[1,2]", "instance: expected 1 feature, got 2"),
        ("NaN", "instance: NaN is not a number that a double can hold"),
        ("%22a%22", 'instance: expected a number, got the string "a"'),
    ],
)
def test_refuses_an_invalid_value_in_the_path(client: httpx.Client, value: str, message: str) -> None:
    assert refusal(client.get(f"/stream/{value}")) == message


def test_refuses_an_invalid_list_in_the_path(client: httpx.Client) -> None:
    assert refusal(client.get("/batch/0.5")) == "instances: expected a list, got the number 0.5"
    assert refusal(client.get("/batch/[1,null]")) == "instances[1]: expected a number, got null"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the body holds no line of numbers"),
        ("bmi\n", "the body holds no line of numbers"),
        ("age\n1\n", 'line 1: missing feature "bmi"; unknown feature "age"'),
        ("bmi,bmi\n1,2\n", 'line 1: repeated feature "bmi"'),
        ("1\n2,3\n", "line 2: expected 1 field, got 2 fields"),
        ("bmi\n1\nx\n", 'line 3, bmi: expected a number, got "x"'),
        ("1\nnan\n", "line 2, bmi: the value is missing, and the model was trained without missing values"),
        ("1\n1e999\n", 'line 2, bmi: expected a number, got "1e999"'),
        ('1\n"2\n', "line 2: unexpected end of data"),
        ("1\n2\n1e308\n", "instances[2]: the prediction is beyond the range of a double"),
    ],
)
def test_csv_error_names_the_line(client: httpx.Client, text: str, message: str) -> None:
    assert refusal(client.post("/batch", content=text, headers={"content-type": "text/csv"})) == message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [1.0]}, 'columns: missing feature "bmi"; unknown feature "age"'),
        ({"bmi": ["a"]}, "the column 'bmi' holds no plain numbers"),
        (
            {"bmi": [1.0, None]},
            "row 1, bmi: the value is missing, and the model was trained without missing values",
        ),
        ({"bmi": [1.0, float("nan")]}, "instances[1]: nan for bmi is not a finite number"),
        ({"bmi": pa.array([], pa.float64())}, "the stream holds no row"),
    ],
)
def test_arrow_error_names_the_column(client: httpx.Client, columns: dict[str, Any], message: str) -> None:
    stream = arrow_stream(columns)
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    assert refusal(client.post("/batch", content=stream, headers=headers)) == message
    assert "cut off" in refusal(client.post("/batch", content=stream[:100], headers=headers))
    assert "not an Arrow stream" in refusal(client.post("/batch", content=b"junk and more", headers=headers))


def tensor(**changes: object) -> dict[str, object]:
    whole = {"name": "instances", "shape": [2, 1], "datatype": "FP64", "data": [1, 2]} | changes
    return {name: value for name, value in whole.items() if value is not None}


BINARY = tensor(data=None, parameters={"binary_data_size": 16})


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, 'the key "inputs" is missing'),
        ({"inputs": []}, "inputs: expected at least one object, got an empty list"),
        ({"inputs": {}}, "inputs: expected a list, got an object"),
        ({"inputs": [3]}, "inputs[0]: expected an object"),
        ({"inputs": [tensor(name=None)]}, "inputs[0].name: expected a string, got null"),
        ({"inputs": [tensor(name="x", shape=[2])]}, 'inputs: missing feature "bmi"; unknown feature "x"'),
        ({"inputs": [tensor(shape=None)]}, "inputs[0].shape: expected a list of sizes, got null"),
        ({"inputs": [tensor(shape=[-2, 1])]}, "inputs[0].shape: expected a list of sizes, got a list of 2"),
        ({"inputs": [tensor(shape=[2, 1, 1])]}, "inputs[0].shape: expected one or two sizes, got 3"),
        ({"inputs": [tensor(shape=[1, 2])]}, "inputs[0].shape: expected [n, 1], got [1, 2]"),
        ({"inputs": [tensor(shape=[3, 1])]}, "inputs[0]: shape [3, 1] needs 3 numbers, got 2"),
        ({"inputs": [tensor(shape=[0, 1], data=[])]}, "inputs[0]: expected at least one row, got none"),
        ({"inputs": [tensor(datatype="BYTES")]}, "inputs[0].datatype: expected one of FP64"),
        ({"inputs": [tensor(data=None)]}, "inputs[0]: neither data nor parameters.binary_data_size"),
        ({"inputs": [tensor(data="x")]}, 'inputs[0].data: expected a list, got the string "x"'),
        ({"inputs": [tensor(data=[1, None])]}, "inputs[0].data[1]: expected a number, got null"),
        ({"inputs": [tensor(data=[[1], [2, 3]])]}, "inputs[0]: shape [2, 1] needs 2 numbers, got 3"),
        ({"inputs": [tensor(), tensor(name="bmi")]}, 'inputs: unknown feature "instances"'),
        ({"inputs": [tensor()], "id": 3}, "id: expected a string, got the number 3"),
        ({"inputs": [tensor()], "outputs": [{"name": 3}]}, "outputs[0]: expected a name"),
        ({"inputs": [BINARY]}, "inputs[0].parameters.binary_data_size"),
    ],
)
def test_v2_error_names_the_tensor_and_the_field(
    client: httpx.Client, request_: object, message: str
) -> None:
    assert refusal(client.post(V2, json=request_)).startswith(message)


def test_refuses_invalid_binary_tensors(client: httpx.Client) -> None:
    raw = np.array([1.0, 2.0]).tobytes()
    head = json.dumps({"inputs": [BINARY]}).encode()

    def send(content: bytes, length: str) -> str:
        headers = {"inference-header-content-length": length}
        return refusal(client.post(V2, content=content, headers=headers))

    assert send(head + raw[:8], str(len(head))).endswith(
        "expected at most the 8 bytes after the JSON, got the number 16"
    )
    assert send(head + raw + b"x", str(len(head))) == "the tensors leave 1 byte of the body"
    assert send(head + raw, "many").startswith('Inference-Header-Content-Length: "many" is not a length')
    assert send(head + raw, "-1").startswith('Inference-Header-Content-Length: "-1" is not a length')
    assert send(head + raw, "9999").startswith('Inference-Header-Content-Length: "9999" is not a length')
    message = refusal(client.post(V2, content=head, headers={"content-type": "application/octet-stream"}))
    assert message == "binary tensors need the header Inference-Header-Content-Length"


def test_refuses_truncated_and_invalid_compressed_bodies(client: httpx.Client) -> None:
    for coding, compress in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        good = compress(b'{"instance": 1}')
        headers = {"content-encoding": coding}
        assert client.post("/stream", content=good, headers=headers).status_code == 200
        cut_off = refusal(client.post("/stream", content=good[:-2], headers=headers))
        assert cut_off == f"the {coding} body is cut off"
        junk = refusal(client.post("/stream", content=b"junk!", headers=headers))
        assert junk.startswith(f"the body is not {coding}")


def test_reports_an_unknown_model_as_not_found(client: httpx.Client) -> None:
    for path in ("/v1/models/x:predict", "/v1/models/x:explain", "/v2/models/x/infer"):
        assert refusal(client.post(path, json={}), 404) == f"model x does not exist; this server has {NAME}"


def test_errors_reveal_no_internals(client: httpx.Client) -> None:
    for body, _ in STREAM:
        text = client.post("/stream", content=body).text
        assert "Traceback" not in text
        assert ".py" not in text
