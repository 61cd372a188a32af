"""A message that fits a template has the same answer as without one."""

import struct
from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.errors import PredictorError
from predictor.feedback.recorder import Recorder
from predictor.grpc import message_templates as module
from predictor.grpc.infer import infer
from predictor.grpc.message_templates import Templates
from predictor.grpc.wire import header
from predictor.identity import Identity
from predictor.messages import PROBE_ID, Request, Response
from predictor.model.base import Model
from predictor.model.inputs import Input
from predictor.service.inference import InferenceService
from tests.support.models import linear_model
from tests.support.server import NAME
from tests.support.service import load, make_service

WEIGHTS = (938.25, -0.5)


def message(
    row: Sequence[float] = (0.5, 2.0), *, raw: bool = False, name: str = "instances", **more: Any
) -> bytes:
    """Return a message of one row."""
    tensor = pb.ModelInferRequest.InferInputTensor(name=name, datatype="FP64", shape=[1, len(row)])
    found = pb.ModelInferRequest(model_name=NAME, inputs=[tensor], **more)
    if raw:
        found.raw_input_contents.append(struct.pack(f"<{len(row)}d", *row))
    else:
        found.inputs[0].contents.fp64_contents.extend(row)
    return found.SerializeToString()


@pytest.fixture
def general(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The messages that no template answered."""
    found = []

    def counted(service: InferenceService, request: Request) -> Response:
        found.append(bytes(request.body))
        return infer(service, request)

    monkeypatch.setattr(module, "infer", counted)
    return found


def outcome(
    templates: Templates, body: bytes, name: bytes = b"given", *, by_template: bool = True
) -> tuple[object, ...]:
    """Return the response, or the error, and the id that the request has then."""
    request = Request(body=body, inline=True, identity=Identity(name, b"1" * 32, b"2" * 16))
    try:
        answer = templates.infer(request) if by_template else infer(templates.service, request)
    except PredictorError as error:
        return type(error), str(error), request.id
    return answer.body, answer.rows, request.id


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("ids", [("", ""), ("order-17", "order-18")])
def test_other_rows_and_ids_of_a_known_message_need_no_general_reader(
    general: list[bytes], raw: bool, ids: tuple[str, str]
) -> None:
    templates = Templates(make_service(WEIGHTS))
    first, second = message(raw=raw, id=ids[0]), message((-3.25, 1e9), raw=raw, id=ids[1])
    for body in (first, second, first):
        assert outcome(templates, body) == outcome(templates, body, by_template=False)
    assert general == [first]


def test_what_has_no_finite_prediction_is_refused_as_ever(general: list[bytes]) -> None:
    templates = Templates(make_service(WEIGHTS))
    outcome(templates, message())
    outcome(templates, message(id="order-17"))
    for row in ((float("nan"), 0.0), (0.0, float("inf")), (1e308, 0.0)):
        body = message(row, id="order-18")
        assert outcome(templates, body) == outcome(templates, body, by_template=False)
    assert len(general) == 5


@pytest.mark.parametrize(
    ("known", "other"),
    [
        (message(name="a"), message(name="b")),
        (message(outputs=[{"name": "y"}]), message(outputs=[{"name": "z"}])),
        (message(id="order-17"), message(id="order 18")),
        (message(id="order-17"), message(id="order-17").replace(b"-17", b"-1\xff")),
        (message(id="order-17"), message(model_version="7", id="id-7")[:-3]),
    ],
)
def test_a_message_that_differs_elsewhere_fits_no_template(known: bytes, other: bytes) -> None:
    templates = Templates(make_service(WEIGHTS))
    outcome(templates, known)
    assert outcome(templates, other) == outcome(templates, other, by_template=False)


def test_the_bytes_of_a_row_elsewhere_in_a_message_are_no_row(general: list[bytes]) -> None:
    templates = Templates(make_service((938.25,)))
    row = struct.pack("<d", 0.5)
    elsewhere = header(15, 8) + row  # an unknown field
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1, 1])
    unpacked = tensor.SerializeToString() + header(5, 9) + b"\x39" + row
    body = (
        elsewhere
        + header(5, len(unpacked))
        + unpacked
        + pb.ModelInferRequest(model_name=NAME).SerializeToString()
    )
    other = body.replace(elsewhere, header(15, 8) + struct.pack("<d", 7.5))
    for sent in (body, other, body):
        assert outcome(templates, sent) == outcome(templates, sent, by_template=False)
    assert general == [body, other, body]


def tensors(*datatypes: str, rows: int = 1, width: int = 1, **names: str) -> bytes:
    """Return a message of tensors of numbers."""
    message = pb.ModelInferRequest(model_name=NAME)
    for name, datatype in zip(names.values() or ["instances"], datatypes, strict=True):
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[rows, width])
        field = {"FP32": "fp32_contents", "INT64": "int64_contents"}
        getattr(tensor.contents, field.get(datatype, "fp64_contents")).extend([3] * (rows * width))
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (tensors("INT64", width=2), linear_model(WEIGHTS)),
        (tensors("FP32", width=2), linear_model(WEIGHTS)),
        (tensors("FP64", width=2, rows=2), linear_model(WEIGHTS)),
        (tensors("FP64", "FP64", a="bmi", b="bp"), linear_model(WEIGHTS)),
        (tensors("FP64", a="age"), linear_model((2.0,), features=[Input("age", 0.0, 9.0, missing=1.0)])),
    ],
)
def test_messages_of_other_forms_are_read_as_ever(general: list[bytes], body: bytes, model: Model) -> None:
    templates = Templates(make_service(model=model))
    for _ in range(2):
        assert outcome(templates, body) == outcome(templates, body, by_template=False)
    assert general == [body] * 2


def test_a_row_that_takes_long_is_left_to_a_thread(general: list[bytes]) -> None:
    templates = Templates(make_service(WEIGHTS))
    for _ in range(2):
        templates.infer(Request(body=message(), inline=False))
    assert len(general) == 2


def test_a_template_is_of_one_model() -> None:
    templates = Templates(make_service(WEIGHTS))
    before = outcome(templates, message())
    templates.service.handle.loaded = load(linear_model((1.0, 1.0)))
    after = outcome(templates, message())
    assert before != after == outcome(templates, message(), by_template=False)
    templates.service.handle.loaded = None
    assert "not ready" in str(outcome(templates, message())[1])
    assert not templates._known  # so that the model is released


def test_a_message_that_comes_often_gets_its_template_though_another_has_its_length(
    general: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = Templates(make_service(WEIGHTS))
    learned = Mock(side_effect=module._template)
    monkeypatch.setattr(module, "_template", learned)
    for body in [message(name="a"), message(name="b")] * 200:
        assert outcome(templates, body) == outcome(templates, body, by_template=False)
    assert 16 < learned.call_count < 24
    general.clear()
    for _ in range(200):
        outcome(templates, message(name="b"))
    assert len(general) < 100


def test_messages_of_ever_other_lengths_are_seldom_made_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates(make_service(WEIGHTS))
    learned = Mock(side_effect=module._template)
    monkeypatch.setattr(module, "_template", learned)
    for length in range(1, 1001):
        outcome(templates, message(name="n" * length))
    assert learned.call_count < 16 + 1000 / 64 + 1


def test_there_are_only_so_many_templates_and_none_of_a_long_message(
    general: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = Templates(make_service(WEIGHTS))
    for _ in range(2):
        outcome(templates, message(name="n" * 2048))
    assert general == [message(name="n" * 2048)] * 2
    monkeypatch.setattr(module, "_SELDOM", 1)
    for length in range(1, 200):
        outcome(templates, message(name="n" * length))
    assert len(templates._known) == 64
    last = message(name="n" * 199)
    assert outcome(templates, last) == outcome(templates, last, by_template=False)
    assert general.count(last) == 1


def test_a_probe_is_no_part_of_the_sample_for_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates(make_service(WEIGHTS))
    sampled = []
    monkeypatch.setattr(templates.service.drift, "offer", lambda rows, _values: sampled.append(rows))
    for _ in range(2):
        outcome(templates, message())
        outcome(templates, message(), PROBE_ID)
    assert len(sampled) == 2


def test_every_row_is_recorded_for_feedback(general: list[bytes]) -> None:
    templates = Templates(make_service(WEIGHTS))
    templates.service.recorder = Mock(Recorder)
    for _ in range(3):
        outcome(templates, message())
    assert len(general) == 3


ROWS = st.lists(st.floats(), min_size=2, max_size=2)
IDS = st.sampled_from(["", "a", "b", "instances", NAME, "ß", "a b", "x" * 200])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Messages that are alike, some of them with a wrong byte or a part twice."""
    more: dict[str, Any] = draw(st.sampled_from([{}, {"model_version": "7"}, {"outputs": [{"name": "y"}]}]))
    body = message(draw(ROWS), raw=draw(st.booleans()), id=draw(IDS), **more)
    if draw(st.sampled_from([False, False, True])):
        body += pb.ModelInferRequest(id=draw(IDS)).SerializeToString()
    if draw(st.sampled_from([False, False, False, True])):
        wrong = bytearray(body)
        wrong[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
        return bytes(wrong)
    return body


@given(st.lists(bodies(), min_size=2, max_size=8))
@settings(max_examples=200)
def test_messages_have_the_same_outcome_whatever_came_before(sent: list[bytes]) -> None:
    templates = Templates(make_service(WEIGHTS))
    for body in sent * 2:
        assert outcome(templates, body) == outcome(templates, body, by_template=False)
