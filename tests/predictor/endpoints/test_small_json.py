"""The quick answers to the plainest requests are those of the endpoints, or there is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.endpoints import native, v1, v2
from predictor.endpoints.small_json import Found, SmallJson
from tests.support.models import linear_model
from tests.support.service import Endpoint, answer, load, make_service

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
others = (
    st.none()
    | st.booleans()
    | st.text(max_size=3)
    | st.lists(numbers, max_size=4)
    | st.dictionaries(st.sampled_from(["bmi", "bp", "s1", "x"]), numbers, max_size=4)
)
values = numbers | st.lists(numbers | others, max_size=4) | others
TENSOR = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}

SERVICES = {1: make_service(), 3: make_service((938.25, -0.5, 1e-300))}
SMALL = {width: SmallJson(service.handle) for width, service in SERVICES.items()}


def check(found: Found, endpoint: Endpoint, width: int, body: bytes) -> None:
    """Check that a quick answer, if there is one, is the endpoint's."""
    if found is not None:
        content, rows, values, _ = found
        full = answer(SERVICES[width], endpoint, body)
        assert (full.body, full.rows, full.status) == (content, len(rows), 200)
        assert [SERVICES[width].handle.require().model.row(row) for row in rows] == list(values)


@given(value=values, width=st.sampled_from([1, 3]))
def test_answers_an_instance_as_the_endpoint_does(value: object, width: int) -> None:
    body = json.dumps({"instance": value}).encode()
    check(SMALL[width].stream(body), native.stream, width, body)


@given(rows=st.lists(values, max_size=5), width=st.sampled_from([1, 3]))
def test_answers_a_few_instances_as_the_endpoints_do(rows: list[object], width: int) -> None:
    body = json.dumps({"instances": rows}).encode()
    check(SMALL[width].batch(body), native.batch, width, body)
    check(SMALL[width].batch(body), v1.predict, width, body)


@given(
    shape=st.lists(st.integers(-1, 3) | st.booleans() | st.just(1.0), max_size=3),
    data=st.lists(numbers | others, max_size=6),
    datatype=st.sampled_from(["FP64", "FP64", "FP32", "INT64", "BYTES"]),
    name=st.sampled_from(["instances", "input-0", "bmi"]),
    more=st.sampled_from([{}, {"id": "7"}, {"id": None}, {"id": 7}, {"outputs": []}, {"x": 1}]),
    width=st.sampled_from([1, 3]),
)
def test_answers_a_small_tensor_as_the_endpoint_does(
    shape: list[object],
    data: list[object],
    datatype: str,
    name: str,
    more: dict[str, object],
    width: int,
) -> None:
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    body = json.dumps(more | {"inputs": [tensor]}).encode()
    check(SMALL[width].infer(body), v2.infer, width, body)


def test_answers_plain_requests() -> None:
    one = (b'{"prediction":621.125}', ((0.5,),), (621.125,), None)
    assert SMALL[1].stream(b'{"instance": 0.5}') == one
    assert SMALL[1].stream(b'{"insta\\u006ece": 3, "instance": 0.5}') == one
    assert SMALL[1].stream(b'{"instance": {"bmi": 0.5}}') == one
    two = (b'{"predictions":[621.125,152.0]}', [(0.5,), (0.0,)], [621.125, 152.0], None)
    assert SMALL[1].batch(b'{"instances": [[0.5], 0]}') == two
    three = (b'{"prediction":1089.25}', ((1.0, 2.0, 3.0),), (1089.25,), None)
    assert SMALL[3].stream(b'{"instance": [1, 2, 3]}') == three
    by_name = SMALL[3].stream(b'{"instance": {"s1": 3, "bp": 2, "bmi": 1}}')
    assert by_name == three
    for name in ("instances", "input-0"):
        found = SMALL[1].infer(json.dumps({"id": "é", "inputs": [TENSOR | {"name": name}]}).encode())
        assert found is not None
        assert found[1:] == ([[0.5]], [621.125], "é")
        assert json.loads(found[0]) == {
            "model_name": "linear-regressor",
            "model_version": "7",
            "id": "é",
            "outputs": [{"name": "predictions", "shape": [1], "datatype": "FP64", "data": [621.125]}],
        }


@pytest.mark.parametrize(
    "body",
    [
        b'{"instance": null, "instance": 2}', b'{"instance": true}', b'{"instance": 1e308}',
        b'{"instance": "1"}',
        b'{"instance": 1} {}', b'["instance"]', b'"instance"', b"[]", b"", b'{"instance": 1, "x": 1}',
        b'{"instance": {"bp": 1}}', b'{"instance": {"bmi": 1, "x": 1}}', b'{"instance": [1, 2]}', b"[" * 5000,
    ],
)  # fmt: skip
def test_leaves_other_bodies_to_the_endpoint(body: bytes) -> None:
    assert SMALL[1].stream(body) is None


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"binary_data": True}},
        {"shape": [1, True]},
        {"shape": [1, 1.0]},
        {"shape": [1]},
        {"data": [[0.5]]},
        {"datatype": "FP32"},
    ],
)
def test_leaves_other_tensors_to_the_endpoint(more: dict[str, object]) -> None:
    assert SMALL[1].infer(json.dumps({"inputs": [TENSOR | more]}).encode()) is None
    assert SMALL[1].infer(json.dumps({"inputs": [TENSOR], "outputs": []}).encode()) is None


def test_answers_with_the_model_that_is_loaded_now() -> None:
    service = make_service()
    small = SmallJson(service.handle)
    assert small.stream(b'{"instance": 0.5}') is not None
    service.handle.loaded = load(linear_model((2.0, 3.0)))
    assert small.stream(b'{"instance": 0.5}') is None
    assert small.stream(b'{"instance": [1, 1]}') == (b'{"prediction":157.0}', ((1.0, 1.0),), (157.0,), None)
    service.handle.unload()
    for read, body in ((small.stream, b'{"instance": 0.5}'), (small.batch, b'{"instances": [1]}')):
        assert read(body) is None
    assert small.infer(json.dumps({"inputs": [TENSOR]}).encode()) is None
    assert answer(service, native.stream, b'{"instance": 0.5}').status == 503


def test_a_row_that_takes_long_has_no_quick_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service()
    small, document = SmallJson(service.handle), {"inputs": [TENSOR]}
    quick = (
        (small.stream, b'{"instance":0.5}'),
        (small.batch, b'{"instances":[0.5]}'),
        (small.infer, json.dumps(document).encode()),
    )
    assert all(read(body) for read, body in quick)
    monkeypatch.setattr(service.handle.require().model, "cost", 1e9)
    assert not any(read(body) for read, body in quick)
