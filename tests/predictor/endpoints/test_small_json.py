"""The quick path gives the same answer as the full reader, or none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.endpoints import native, v2
from predictor.endpoints.small_json import SmallJson
from predictor.errors import PredictorError
from predictor.messages import RequestHeaders, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.scorer import Scorer
from predictor.observability.metrics import SECONDS, Series
from tests.support.models import linear_model

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
OTHERS = st.none() | st.booleans() | st.text(max_size=3) | st.lists(NUMBERS, max_size=4) | st.just({"a": 1})
VALUES = NUMBERS | st.lists(NUMBERS | OTHERS, max_size=4) | OTHERS
TENSOR = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}

Full = Callable[[ModelHandle, RequestHeaders, bytes], Response]


def serving(*weights: float) -> ModelHandle:
    model = linear_model(weights)
    served = ModelHandle("linear-regressor", Path("models/7"))
    served.loaded = LoadedModel(model, "digest", Scorer(model), 0.0)
    return served


MODELS = {1: serving(938.25), 3: serving(938.25, -0.5, 1e-300)}
QUICK = {width: SmallJson(served) for width, served in MODELS.items()}


def assert_agrees(found: tuple[bytes, int] | None, full: Full, width: int, body: bytes) -> None:
    if found is not None:
        answer = full(MODELS[width], RequestHeaders(), body)
        assert (answer.body, answer.rows, answer.status) == (*found, 200)


@given(value=VALUES, width=st.sampled_from([1, 3]))
def test_quick_answer_for_one_instance_agrees_with_the_full_reader(value: object, width: int) -> None:
    body = json.dumps({"instance": value}).encode()
    assert_agrees(QUICK[width].stream(body), native.stream, width, body)


@given(values=st.lists(VALUES, max_size=5), width=st.sampled_from([1, 3]))
def test_quick_answer_for_a_few_instances_agrees_with_the_full_reader(
    values: list[object], width: int
) -> None:
    body = json.dumps({"instances": values}).encode()
    assert_agrees(QUICK[width].batch(body), native.predict, width, body)
    assert_agrees(QUICK[width].batch(body), native.batch, width, body)


@given(
    shape=st.lists(st.integers(0, 3) | st.booleans() | st.just(1.0), max_size=3),
    data=st.lists(NUMBERS | OTHERS, max_size=6),
    datatype=st.sampled_from(["FP64", "FP32", "INT64", "BYTES"]),
    width=st.sampled_from([1, 3]),
)
def test_quick_answer_for_a_small_tensor_agrees_with_the_full_reader(
    shape: list[object], data: list[object], datatype: str, width: int
) -> None:
    tensor = {"name": "instances", "shape": shape, "datatype": datatype, "data": data}
    body = json.dumps({"inputs": [tensor]}).encode()
    assert_agrees(QUICK[width].infer(body), v2.infer, width, body)


def test_answers_plain_requests_quickly() -> None:
    assert QUICK[1].stream(b'{"instance": 0.5}') == (b'{"prediction":621.125}', 1)
    assert QUICK[1].batch(b'{"instances": [[0.5], 0]}') == (b'{"predictions":[621.125,152.0]}', 2)
    assert QUICK[1].infer(json.dumps({"inputs": [TENSOR]}).encode()) is not None
    assert QUICK[3].stream(b'{"instance": [1, 2, 3]}') == (b'{"prediction":1089.25}', 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instance": 1, "instance": 2}',
        b'{"insta\\u006ece": 1, "instance": 2}',
        b'{"instance": true}',
        b'{"instance": 1e308}',
        b'{"instance": "1"}',
        b'{"instance": 1} {}',
        b'["instance"]',
        b'"instance"',
        b"[]",
        b"",
    ],
)
def test_leaves_possible_errors_to_the_full_reader(body: bytes) -> None:
    assert QUICK[1].stream(body) is None


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"binary_data": True}},
        {"shape": [1, True]},
        {"shape": [1, 1.0]},
        {"shape": [True, 1]},
        {"data": [[0.5]]},
        {"name": "other"},
    ],
)
def test_leaves_tensors_with_optional_fields_to_the_full_reader(more: dict[str, object]) -> None:
    assert QUICK[1].infer(json.dumps({"inputs": [TENSOR | more]}).encode()) is None
    assert QUICK[1].infer(json.dumps({"inputs": [TENSOR], "id": "7"}).encode()) is None


def test_gives_no_quick_answer_without_a_model() -> None:
    served = serving(2.0)
    served.unload()
    assert SmallJson(served).stream(b'{"instance": 0.5}') is None
    with pytest.raises(PredictorError, match="unloaded"):
        native.stream(served, RequestHeaders(), b'{"instance": 0.5}')


def test_settle_moves_short_requests_into_the_histograms() -> None:
    series = Series()
    for status, seconds, rows in ((200, 1e-6, 1), (200, SECONDS[0], 1), (200, 0.02, 1), (400, 1e-6, 0)):
        series.observe(status, seconds, rows)
    assert series.short == 2
    for _ in range(2):
        series.settle()
        assert dict(series.codes) == {200: 3, 400: 1}
        assert series.seconds.counts[0] == 3
        assert sum(series.seconds.counts) == 4
        assert series.seconds.total == pytest.approx(0.02 + SECONDS[0] + 2e-6)
        assert (series.rows.counts[0], series.rows.total) == (3, 3)
