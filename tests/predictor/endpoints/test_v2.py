# ruff: noqa: E501  lists of odd things read better in few lines
"""The Open Inference Protocol over REST: what counts of a request, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest

from predictor.codecs.tensors import Tensor
from predictor.endpoints import v2
from predictor.errors import InvalidInput, TooLarge
from predictor.messages import BINARY, Request, RequestHeaders, Response
from tests.support.service import answer, make_service

ONE, TWO = make_service(), make_service((1.0, 10.0))
TENSOR: dict[str, Any] = {"name": "instances", "shape": [2, 1], "datatype": "FP64", "data": [0.5, 1]}
SPACES = (",", ", ", " ,\n")


def infer(document: Any, service: Any = ONE) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return answer(service, v2.infer, body)


def data(response: Response) -> list[float]:
    assert response.status == 200, response.body
    (output,) = json.loads(response.body)["outputs"]
    assert output["shape"] == [len(output["data"])] == [response.rows]
    return list(output["data"])


def refusal(response: Response) -> str:
    assert response.status == 400, response.body
    return str(json.loads(response.body)["error"])


def repeated(values: list[Any], count: int) -> list[Any]:
    """Return so many values, the given ones in turn."""
    return (values * (count // len(values) + 1))[:count]


@pytest.mark.parametrize("count", [2, 600, 150_000])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("separator", SPACES)
def test_other_data_than_that_of_the_tensors_does_not_count(count: int, nested: bool, separator: str) -> None:
    ten = [f"0.{i}" for i in range(10)]
    rows = separator.join(repeated([f"[{value}]" for value in ten] if nested else ten, count))
    other = separator.join(["7"] * count)
    decoys = [
        f'"data": [{other}]',
        f'"parameters": {{"data": [{other}], "x": "data\\": [1,2,"}}',
        f'"x": [[{other}]]',
    ]
    expected = repeated([938.25 * float(value) + 152 for value in ten], count)
    for decoy in decoys:
        tensor = f'"name": "instances", "shape": [{count}, 1], "datatype": "FP64", "data": [{rows}]'
        for inside in (
            (f"{{{decoy}, {tensor}}}", f"{{{tensor}, {decoy}}}") if '"data"' not in decoy[:6] else ()
        ):
            assert data(infer(f'{{"inputs": [{inside}]}}'.encode())) == expected
        assert data(infer(f'{{{decoy}, "inputs": [{{{tensor}}}]}}'.encode())) == expected
        assert data(infer(f'{{"inputs": [{{{tensor}}}], {decoy}}}    '.encode() + b" " * 64)) == expected


@pytest.mark.parametrize("count", [3, 150_000])
@pytest.mark.parametrize("nested", [False, True])
def test_takes_a_tensor_for_each_feature_at_every_size(count: int, nested: bool) -> None:
    values = np.arange(count) / 8
    tensors = [
        {
            "name": name,
            "shape": [count, 1],
            "datatype": "FP32",
            "data": column.reshape(-1, 1).tolist() if nested else column.tolist(),
        }
        for name, column in (("bp", -values), ("bmi", values))
    ]
    assert data(infer({"inputs": tensors}, TWO)) == (values * -9 + 152).tolist()


@pytest.mark.parametrize("count", [2, 150_000])
def test_the_last_of_equal_keys_counts(count: int) -> None:
    good, other = ", ".join(["0.5"] * count), ", ".join(["null"] * count)
    tensor = f'"name": "x", "name": "instances", "shape": 3, "shape": [{count}, 1], "datatype": "FP64"'
    body = f'{{"id": 3, "id": "a", "inputs": null, "inputs": [{{"data": [{other}], {tensor}, "data": [{good}]}}]}}'
    response = infer(body.encode())
    assert data(response) == [621.125] * count
    assert json.loads(response.body)["id"] == "a"


@pytest.mark.parametrize("name", ["instances", "input-0", "bmi", ""])
def test_a_sole_tensor_may_have_any_name(name: str) -> None:
    assert data(infer({"inputs": [TENSOR | {"name": name}]})) == [621.125, 1090.25]


def test_a_sole_tensor_of_one_dimension_needs_a_known_name() -> None:
    for name in ("instances", "bmi"):
        assert data(infer({"inputs": [TENSOR | {"name": name, "shape": [2]}]})) == [621.125, 1090.25]
    message = refusal(infer({"inputs": [TENSOR | {"name": "x", "shape": [2]}]}))
    assert message == 'inputs: missing feature "bmi"; unknown feature "x"'


@pytest.mark.parametrize("outputs", [[], None, [{"name": "predictions"}]])
def test_answers_with_the_name_of_the_output(outputs: Any) -> None:
    response = infer({"inputs": [TENSOR], "outputs": outputs})
    assert json.loads(response.body)["outputs"][0]["name"] == "predictions"


def test_answers_under_the_name_that_is_asked_for() -> None:
    response = infer({"inputs": [TENSOR], "outputs": [{"name": "output-0"}]})
    assert json.loads(response.body)["outputs"][0]["name"] == "output-0"
    assert v2.check_outputs(["output-0"]) == "output-0"
    with pytest.raises(InvalidInput, match="outputs: this model has one output, predictions, got 2"):
        v2.check_outputs(["a", "b"])


def test_predicts_tensors_of_any_transport() -> None:
    request = Request()
    values = v2.predict(ONE, request, [Tensor("x", (2, 1), np.array([0.5, 1.0]))])
    assert values.tolist() == [621.125, 1090.25]
    with pytest.raises(TooLarge):
        v2.predict(make_service(max_rows=1), request, [Tensor("x", (2, 1), np.array([0.5, 1.0]))])


@pytest.mark.parametrize("sent_as_json", [True, False])
def test_more_rows_than_allowed_are_refused_before_they_are_read(sent_as_json: bool) -> None:
    service = make_service(max_rows=1)
    if sent_as_json:
        assert infer({"inputs": [TENSOR]}, service).status == 413
    else:
        assert binary(b"\0" * 16, service=service).status == 413


def binary(raw: bytes, service: Any = ONE, datatype: str = "FP64", **parameters: Any) -> Response:
    tensor = {
        "name": "instances",
        "shape": [2, 1],
        "datatype": datatype,
        "parameters": {"binary_data_size": len(raw)} | parameters,
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    return answer(service, v2.infer, head + raw, RequestHeaders(BINARY, json_length=b"%d" % len(head)))


def test_reads_and_writes_binary_tensors() -> None:
    assert data(binary(np.array([0.5, 1]).tobytes())) == [621.125, 1090.25]
    assert data(binary(b"\1\0", datatype="BOOL")) == [1090.25, 152.0]
    assert refusal(binary(b"\1\2", datatype="BOOL")) == "inputs[0][1]: expected BOOL, got the number 2"
    response = infer({"inputs": [TENSOR], "parameters": {"binary_data_output": True}})
    length = int(dict(response.headers)[b"inference-header-content-length"])
    assert np.frombuffer(response.body[length:], "<f8").tolist() == [621.125, 1090.25]
    outputs = [{"name": "predictions", "parameters": {"binary_data": False}}]
    assert data(infer({"inputs": [TENSOR], "outputs": outputs, "parameters": {"binary_data_output": True}}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, 'the key "inputs" is missing'),
        ([], 'expected {"inputs": [...]}, got a list'),
        ({"inputs": []}, "inputs: expected at least one object, got an empty list"),
        ({"inputs": {}}, "inputs: expected a list, got an object"),
        ({"inputs": [TENSOR, 3]}, "inputs[1]: expected an object"),
        ({"inputs": [TENSOR | {"name": 3}]}, "inputs[0].name: expected a string, got the number 3"),
        ({"inputs": [TENSOR | {"name": None}]}, "inputs[0].name: expected a string, got null"),
        ({"inputs": [TENSOR | {"shape": None}]}, "inputs[0].shape: expected a list of sizes, got null"),
        ({"inputs": [TENSOR | {"shape": [-2, 1]}]}, "inputs[0].shape: expected a list of sizes, got a list of 2"),
        ({"inputs": [TENSOR | {"shape": [2, 1, 1]}]}, "inputs[0].shape: expected one or two sizes, got 3"),
        ({"inputs": [TENSOR | {"shape": [1, 2]}]}, "inputs[0].shape: expected [n, 1], got [1, 2]"),
        ({"inputs": [TENSOR | {"shape": [3, 1]}]}, "inputs[0]: shape [3, 1] needs 3 numbers, got 2"),
        ({"inputs": [TENSOR | {"shape": [1, 1]}]}, "inputs[0]: shape [1, 1] needs 1 number, got 2"),
        ({"inputs": [TENSOR | {"shape": [0, 1], "data": []}]}, "inputs[0]: expected at least one row, got none"),
        ({"inputs": [TENSOR | {"datatype": "BYTES"}]}, 'inputs[0].datatype: expected one of FP64, FP32, FP16, INT64, INT32, INT16, INT8, UINT64, UINT32, UINT16, UINT8, BOOL, got the string "BYTES"'),
        ({"inputs": [{**TENSOR, "data": "x"}]}, 'inputs[0].data: expected a list, got the string "x"'),
        ({"inputs": [{**TENSOR, "data": [1, None]}]}, "inputs[0].data[1]: expected a number, got null"),
        ({"inputs": [{**TENSOR, "datatype": "INT32", "data": [1, 6.8]}]}, "inputs[0].data[1]: expected INT32, got the number 6.8"),
        ({"inputs": [{name: TENSOR[name] for name in ("name", "shape", "datatype")}]}, "inputs[0]: neither data nor parameters.binary_data_size is given"),
        ({"inputs": [TENSOR, TENSOR]}, 'inputs: missing feature "bmi"; unknown feature "instances"'),
        ({"inputs": [TENSOR] * 70}, "inputs: expected at most 1 tensor, got 70"),
        ({"inputs": [TENSOR], "id": 3}, "id: expected a string, got the number 3"),
        ({"inputs": [TENSOR], "id": "x" * 2**17}, "id: longer than 65536 bytes"),
        ({"inputs": [TENSOR], "parameters": 3}, "parameters: expected an object, got the number 3"),
        ({"inputs": [TENSOR], "outputs": {}}, "outputs: expected a list, got an object"),
        ({"inputs": [TENSOR], "outputs": [{"name": 3}]}, "outputs[0]: expected a name, got an object"),
        ({"inputs": [TENSOR], "outputs": [3]}, "outputs[0]: expected a name, got the number 3"),
        ({"inputs": [{**TENSOR, "data": [1e308, 1]}]}, "instances[0]: the prediction is beyond the range of a double"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_with_a_request(document: Any, message: str) -> None:
    assert refusal(infer(document)) == message


def test_says_what_is_wrong_with_binary_tensors() -> None:
    place = "inputs[0].parameters.binary_data_size"
    assert (
        refusal(binary(b"\0" * 8, binary_data_size=16))
        == f"{place}: expected at most the 8 bytes after the JSON, got the number 16"
    )
    assert (
        refusal(binary(b"\0" * 8, binary_data_size="8"))
        == f'{place}: expected at most the 8 bytes after the JSON, got the string "8"'
    )
    assert refusal(binary(b"\0" * 17, binary_data_size=16)) == "the tensors leave 1 byte of the body"
    assert refusal(binary(b"\0" * 9)) == "inputs[0]: expected a multiple of 8 bytes, got 9 bytes"
    for length in (b"many", b"-1", b"9999", b"", b"1_0", b"1" * 5000):
        response = answer(ONE, v2.infer, b"{}", RequestHeaders(json_length=length))
        assert "is not a length within 2 bytes" in refusal(response)
    message = refusal(answer(ONE, v2.infer, b"{}", RequestHeaders(BINARY)))
    assert message == "binary tensors need the header Inference-Header-Content-Length"


def test_unknown_members_of_any_size_are_ignored() -> None:
    more = {"x": {"y": list(range(1000))}, "parameters": {"z": "a" * 1000}}
    assert data(infer({"inputs": [TENSOR | more], **more})) == [621.125, 1090.25]
