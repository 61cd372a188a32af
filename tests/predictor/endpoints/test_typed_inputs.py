# ruff: noqa: E501  lists of odd things read better in few lines
"""Rows of numbers, booleans and categories: the same table has the same answer in every form."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.codecs import json_bulk
from predictor.endpoints import health, native, v1, v2
from predictor.endpoints.ndjson import Records
from predictor.endpoints.small_json import SmallJson
from predictor.errors import DeadlineExceeded
from predictor.grpc.infer import infer
from predictor.messages import BINARY, CSV, NDJSON, Request, RequestHeaders
from predictor.model.inputs import Input
from tests.support import typed
from tests.support.models import linear_model, mixed_model
from tests.support.service import answer, make_service
from tests.support.typed import GRPC, MIXED_ROWS, Form, Row, forms, prediction, predictions

SERVICE = make_service(model=mixed_model())
ENDPOINTS = {"/batch": native.batch, typed.V1: v1.predict, typed.V2: v2.infer, GRPC: infer}


def send(form: Form) -> bytes:
    if form.media == NDJSON:
        return b"".join(Records(SERVICE).feed(form.body))
    headers = RequestHeaders(form.media, json_length=form.json_length)
    response = answer(SERVICE, ENDPOINTS[form.path], form.body, headers)
    assert response.status == 200, (form.name, response.body)
    return response.body


@pytest.mark.parametrize("count", [1, 4, 1500])
def test_a_table_has_one_answer_in_every_form(count: int) -> None:
    rows = (MIXED_ROWS * count)[:count]
    expected = [prediction(row) for row in rows]
    for form in forms(rows):
        assert predictions(form, send(form)) == pytest.approx(expected, rel=1e-15), form.name


rows_of_any_values = st.lists(
    st.tuples(
        st.floats(-1e6, 1e6) | st.integers(-99, 99),
        st.none() | st.floats(-1e6, 1e6),
        st.none() | st.booleans(),
        st.sampled_from([None, "Bern", "Zürich", "Genf, Nord"]),
        st.sampled_from(["x", "7", "other", "Bern", "0", "0.5", "'", "a\nb", "1e999"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=10)
@given(rows=rows_of_any_values)
def test_any_table_has_one_answer_in_every_form(rows: list[Row]) -> None:
    answers = {form.name: predictions(form, send(form)) for form in forms(rows)}
    first = next(iter(answers.values()))
    assert first == pytest.approx([prediction(row) for row in rows], rel=1e-12, abs=1e-9)
    assert {name: found for name, found in answers.items() if found != first} == {}


@pytest.mark.parametrize("piece", [64, 2**20])
def test_rows_have_one_answer_whatever_the_size_of_a_piece(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", 2 * piece)
    monkeypatch.setattr("predictor.codecs.csv.PIECE", piece)
    expected = [prediction(row) for row in MIXED_ROWS] * 30
    for form in forms(MIXED_ROWS * 30):
        assert predictions(form, send(form)) == pytest.approx(expected, rel=1e-15), form.name


ODD_ROWS = [
    '[1, null, 1, "B\\u0065rn", 7]', '[1, 2, 1.0, "", 18446744073709551617]', '[1, 1e999, true, "Bern", "x"]', "[1, 2, true, NaN, 7]",
    '{"age": 1, "income": 2, "member": true, "city": "Bern", "code": "x", "age": 3}', '{"age": 1, "income": 2}', "{}", "null", "7",
    '{"\\u0061ge": 1, "income": null, "member": null, "city": null, "code": 1e3}', '[1, 2, true, "\\ud800", "x"]', '[1, 2, true, "Bern", "x", 6]',
    '{"age": 1, "income": 2, "member": true, "city": "Bern", "code": "x", "id": {"a": [1, "}, ["]}}', '[1, 2, true, "Bern", "]}, {"]',
]  # fmt: skip


@pytest.mark.parametrize("row", ODD_ROWS)
def test_an_odd_row_has_one_answer_at_every_size(row: str) -> None:
    for endpoint, start, end in (
        (native.stream, '{"instance": ', "}"),
        (native.batch, '{"instances": [[1, 2, true, "Bern", 7], ', "]}"),
    ):
        first = answer(SERVICE, endpoint, f"{start}{row}{end}".encode())
        for space in (1000, 2**15, 2**20):
            for body in (f"{start}{' ' * space}{row}{end}", f"{start}{row}{' ' * space}{end}"):
                found = answer(SERVICE, endpoint, body.encode())
                assert found.status == first.status, (space, found.body)
                if b" byte " not in first.body:
                    assert found.body == first.body, space


@pytest.mark.parametrize(
    "row", [[30, 1, True, "Bern", "x"], [30, 1, 1, "Bern", 7], [30, 1, 0.0, "Bern", "7"]]
)
def test_a_row_alone_is_answered_as_in_a_batch(row: list[Any]) -> None:
    objects = dict(zip(mixed_model().names, row, strict=True))
    batch = json.loads(answer(SERVICE, native.batch, json.dumps({"instances": [row]}).encode()).body)
    for instance in (row, objects, {**objects, "id": ["x"]}):
        body = json.dumps({"instance": instance}).encode()
        found = json.loads(answer(SERVICE, native.stream, body).body)
        assert [found["prediction"]] == batch["predictions"]
        by_path = native.stream_value(SERVICE, json.dumps(instance), Request())
        assert json.loads(by_path.body) == found


def test_the_small_reader_answers_mixed_rows_as_the_endpoint() -> None:
    small = SmallJson(SERVICE.handle)
    for body in (b'{"instance": [30, null, true, "Bern", 7]}', b'{"instance": {"age": 1, "income": 2}}'):
        found, full = small.stream(body), answer(SERVICE, native.stream, body)
        assert (found is None) == (full.status != 200)
        assert found is None or found[0] == full.body
    tensor = {"name": "x", "shape": [1, 5], "datatype": "FP64", "data": [1.0] * 5}
    assert small.infer(json.dumps({"inputs": [tensor]}).encode()) is None


def instances(row: Sequence[Any] | dict[str, Any]) -> bytes:
    return json.dumps({"instances": [MIXED_ROWS[0], row]}).encode()


OBJECT = {"age": 1, "income": 2, "member": True, "city": "Bern", "code": "x"}
LACKING = {"age": 1, "income": 2, "member": True, "City": "Bern", "code": "x"}


@pytest.mark.parametrize("padding", [0, 2000])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([None, 1, True, "Bern", "x"], "instances[1][0]: expected a number, got null"),
        (["30", 1, True, "Bern", "x"], 'instances[1][0]: expected a number, got the string "30"'),
        ([True, 1, True, "Bern", "x"], "instances[1][0]: expected a number, got true"),
        ([1, 1, "yes", "Bern", "x"], 'instances[1][2]: expected true or false, got the string "yes"'),
        ([1, 1, 2, "Bern", "x"], "instances[1][2]: expected true or false, got the number 2"),
        (
            [1, 1, True, "Basel", "x"],
            'instances[1][3]: unknown category "Basel"; the model knows "Bern", "Zürich", "Genf, Nord"',
        ),
        ([1, 1, True, 1.5, "x"], "instances[1][3]: expected a string, got the number 1.5"),
        (
            [1, 1, True, "Bern", None],
            "instances[1][4]: the value is missing, and the model was trained without missing values",
        ),
        ([1, 1, True, ["Bern"], "x"], "instances[1][3]: expected a string, got a list of 1"),
        ([1, 1, True, "Bern"], "instances[1]: expected 5 features, got 4"),
        (7, "instances[1]: expected a list of 5 values, got the number 7"),
        ({**OBJECT, "member": 0.5}, "instances[1].member: expected true or false, got the number 0.5"),
        ({**OBJECT, "city": True}, "instances[1].city: expected a string, got true"),
        (LACKING, 'instances[1]: missing feature "city"; unknown feature "City"'),
    ],
)
def test_says_which_value_of_a_row_is_wrong(row: Any, message: str, padding: int) -> None:
    response = answer(SERVICE, native.batch, instances(row) + b" " * padding)
    assert (response.status, json.loads(response.body)) == (400, {"error": message})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,,true,Bern,\n", "line 1, code: the value is missing, and the model was trained without missing values"),
        ("1,,true,Bern,x\n1,2,maybe,Bern,x\n", 'line 2, member: expected true or false, got "maybe"'),
        ("age,city,code,member,income\n\n1,Basel,x,1,\n", 'line 3, city: unknown category "Basel"; the model knows "Bern", "Zürich", "Genf, Nord"'),
        ("age,town,code,member,income\n1,Bern,x,1,\n", 'line 1: missing feature "city"; unknown feature "town"'),
        ("1,2,true,Bern,x\n1,2,true\n", "line 2: expected 5 fields, got 3 fields"),
        ('1,2,true,"Bern,x\n', "line 1: unexpected end of data"),
        ("age,city,code,member,income\n", "the body holds no line of values"),
    ],
)  # fmt: skip
def test_says_which_cell_of_csv_is_wrong(text: str, message: str) -> None:
    response = answer(SERVICE, native.batch, text.encode(), RequestHeaders(CSV))
    assert (response.status, json.loads(response.body)) == (400, {"error": message})


def infer_request(changes: dict[str, dict[str, Any]]) -> bytes:
    tensors = [
        {"name": "age", "shape": [2], "datatype": "INT32", "data": [1, 2]},
        {"name": "income", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
        {"name": "member", "shape": [2], "datatype": "BOOL", "data": [True, False]},
        {"name": "city", "shape": [2], "datatype": "BYTES", "data": ["Bern", ""]},
        {"name": "code", "shape": [2], "datatype": "INT64", "data": [7, 8]},
    ]
    return json.dumps({"inputs": [{**one, **changes.get(str(one["name"]), {})} for one in tensors]}).encode()


def test_tensors_may_be_of_any_type_that_suits_their_input() -> None:
    response = answer(SERVICE, v2.infer, infer_request({}))
    rows = [(1, 1.5, True, "Bern", "7"), (2, None, False, None, "8")]
    assert json.loads(response.body)["outputs"][0]["data"] == [prediction(row) for row in rows]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": {"data": [1, None]}}, "inputs[0].data[1]: expected a number, got null"),
        ({"age": {"data": [1, 2.5]}}, "inputs[0].data[1]: expected INT32, got the number 2.5"),
        ({"member": {"datatype": "UINT8", "data": [1, 2]}}, "inputs[2].data[1]: expected true or false, got the number 2.0"),
        ({"city": {"data": ["Bern", "x"]}}, 'inputs[3].data[1]: unknown category "x"; the model knows "Bern", "Zürich", "Genf, Nord"'),
        ({"city": {"datatype": "FP64"}}, 'inputs[3].datatype: expected one of BYTES, INT64, INT32, INT16, INT8, UINT64, UINT32, UINT16, UINT8, got the string "FP64"'),
        ({"age": {"datatype": "BYTES"}}, 'inputs[0].datatype: expected one of FP64, FP32, FP16, INT64, INT32, INT16, INT8, UINT64, UINT32, UINT16, UINT8, BOOL, got the string "BYTES"'),
        ({"city": {"name": "town"}}, 'inputs: missing feature "city"; unknown feature "town"'),
        ({"city": {"data": ["Bern"]}}, "inputs[3]: shape [2] needs 2 numbers, got 1"),
    ],
)  # fmt: skip
def test_says_which_value_of_a_tensor_is_wrong(changes: dict[str, dict[str, Any]], message: str) -> None:
    response = answer(SERVICE, v2.infer, infer_request(changes))
    assert (response.status, json.loads(response.body)) == (400, {"error": message})


def test_one_tensor_of_all_inputs_needs_a_model_without_categories() -> None:
    tensor = {"name": "input-0", "shape": [1, 5], "datatype": "FP64", "data": [1, 2, 3, 4, 5]}
    response = answer(SERVICE, v2.infer, json.dumps({"inputs": [tensor]}).encode())
    wanted = 'inputs: expected a tensor for each feature, as "city" is a category, got one for all'
    assert json.loads(response.body) == {"error": wanted}


def test_metadata_describe_a_tensor_for_each_input() -> None:
    found = json.loads(health.metadata(SERVICE, Request()).body)
    types = {"age": "FP64", "income": "FP64", "member": "BOOL", "city": "BYTES", "code": "BYTES"}
    assert found["inputs"] == [{"name": n, "datatype": kind, "shape": [-1]} for n, kind in types.items()]
    assert found["parameters"] == {"features": list(types)}


def message(*texts: bytes, datatype: str = "BYTES", **more: Any) -> pb.ModelInferRequest:
    """A message for a model of one category, with as many texts as make it long or short."""
    found = pb.ModelInferRequest(model_name="linear-regressor")
    found.inputs.add(name="city", datatype=datatype, shape=[len(texts)]).contents.bytes_contents.extend(texts)
    for name, values in more.items():
        getattr(found.inputs[0].contents, name).extend(values)
    return found


CITY = Input(
    "city", 0, 1, type="category", categories=("Bern", "a city with a name of more than 128 bytes" * 4)
)
ONE = make_service(model=linear_model(((1.0, 2.0),), 0.0, features=[CITY]))


@pytest.mark.parametrize("count", [1, 9000])
def test_texts_of_a_message_are_read_whatever_its_length(count: int) -> None:
    texts = [text.encode() for text in CITY.categories] * count
    response = answer(ONE, infer, message(*texts).SerializeToString())
    found = pb.ModelInferResponse.FromString(response.body)
    assert list(found.outputs[0].contents.fp64_contents) == [1.0, 2.0] * count


@pytest.mark.parametrize("count", [2, 9000])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda count: message(*[b"Bern"] * count, b"x"), 'inputs[0].contents[{count}]: unknown category "x"; the model knows "Bern"'),
        (lambda count: message(*[b"Bern"] * count, b"\xff"), 'inputs[0].contents[{count}]: unknown category "\ufffd"; the model knows "Bern"'),
        (lambda count: message(*[b"Bern"] * count, b""), "inputs[0].contents[{count}]: the value is missing"),
        (lambda count: message(*[b"Bern"] * count, datatype="FP64"), "inputs[0].datatype: expected one of BYTES"),
        (lambda count: message(*[b"Bern"] * count, datatype="INT64"), "inputs[0].contents: INT64 needs int64_contents, got bytes_contents"),
    ],
)  # fmt: skip
def test_says_which_text_of_a_message_is_wrong(count: int, change: Any, error: str) -> None:
    response = answer(ONE, infer, change(count).SerializeToString())
    assert response.status == 400
    assert json.loads(response.body)["error"].startswith(error.format(count=count))


def test_malformed_texts_of_a_message_are_refused() -> None:
    whole = message(*[b"Bern"] * 9000).SerializeToString()
    start = whole.index(b"\x42\x04Bern")
    for place, value in ((start + 6, 0x4A), (start + 7, 0x05), (len(whole) - 5, 0x7F), (start + 6, 0x39)):
        changed = bytearray(whole)
        changed[place] = value
        response = answer(ONE, infer, bytes(changed))
        assert response.status == 400, (place, response.body)


def test_malformed_texts_of_a_binary_tensor_are_refused() -> None:
    for content in (b"\4\0\0\0Ber", b"\4\0\0", b"\xff\xff\xff\xff", b"\4\0\0\0Bern\1"):
        head = {
            "name": "city",
            "shape": [1],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(content)},
        }
        document = json.dumps({"inputs": [head]}).encode()
        headers = RequestHeaders(BINARY, json_length=str(len(document)).encode())
        response = answer(ONE, v2.infer, document + content, headers)
        assert json.loads(response.body)["error"].startswith("inputs[0]: expected a length of four bytes"), (
            content
        )


@pytest.mark.parametrize("datatype", ["FP64", "BOOL"])
def test_a_model_without_categories_takes_one_tensor_of_all_inputs(datatype: str) -> None:
    inputs = [Input("a", 0, 1, missing=0.25), Input("b", 0, 1, type="boolean", missing=1.0)]
    service = make_service(model=linear_model((1.0, 10.0), 0.0, features=inputs))
    tensor = {
        "name": "input-0",
        "shape": [3, 2],
        "datatype": datatype,
        "data": [[1, True], [None, 0], [0, None]],
    }
    if datatype == "FP64":
        tensor["data"] = [[1, 1], [None, 0], [0, None]]
    found = json.loads(answer(service, v2.infer, json.dumps({"inputs": [tensor]}).encode()).body)
    assert found["outputs"][0]["data"] == [11.0, 0.25, 10.0]
    tensor["data"] = [[1, 1], [1, 0], [0, 2]]
    wrong = json.loads(answer(service, v2.infer, json.dumps({"inputs": [tensor]}).encode()).body)
    assert wrong["error"] in (
        "inputs[0][2], b: expected true or false, got the number 2.0",
        "inputs[0].data[2][1]: expected BOOL, got the number 2",
    )


def test_the_number_of_rows_is_limited_in_every_form() -> None:
    service = make_service(model=mixed_model(), max_rows=5)
    for form in forms(MIXED_ROWS * 2):
        if form.media == NDJSON:
            continue
        headers = RequestHeaders(form.media, json_length=form.json_length)
        response = answer(service, ENDPOINTS[form.path], form.body, headers)
        assert (response.status, response.body) == (413, b'{"error":"more than 5 rows"}'), form.name


def test_a_second_size_of_a_tensor_of_one_input_does_not_raise_the_limit() -> None:
    inputs = [Input("city", 0, 1, type="category", categories=("Bern", "Basel")), Input("age", 0, 9)]
    service = make_service(model=linear_model(((1.0, 2.0), 1.0), features=inputs), max_rows=5)
    sent = [
        {"name": one.name, "shape": [1, 6], "datatype": one.datatype, "data": [value] * 6}
        for one, value in zip(inputs, ("Bern", 1), strict=True)
    ]
    for tensors in (sent, sent[::-1]):
        response = answer(service, v2.infer, json.dumps({"inputs": tensors}).encode())
        assert (response.status, response.body) == (413, b'{"error":"more than 5 rows"}')


def test_reading_many_rows_ends_when_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", 2**9)
    for form in forms(MIXED_ROWS * 300):
        if form.media == NDJSON or form.name.startswith(("V2, binary", "gRPC, raw")):
            continue  # their records are few, or their numbers are read at once
        request = Request(RequestHeaders(form.media, json_length=form.json_length), form.body, abandoned=True)
        with pytest.raises(DeadlineExceeded):
            ENDPOINTS[form.path](SERVICE, request)
