"""ModelInfer: every datatype, typed and raw, in short and in long messages, which have two readers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.codecs.cost import INLINE_BYTES
from predictor.codecs.tensors import TYPES
from predictor.grpc.infer import infer
from tests.support.server import NAME
from tests.support.service import answer, make_service

SERVICE = make_service(max_rows=20_000)
WIDE = make_service((938.25, -0.5))
PADDING = pb.ModelInferRequest(
    parameters={"padding": {"string_param": " " * INLINE_BYTES}}
).SerializeToString()
"""Makes a message so long that its numbers are not left to the generated parser."""

FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def request(
    datatype: str = "FP64",
    numbers: Sequence[Any] = (1, 0),
    *,
    field: str = "",
    shape: Sequence[int] | None = None,
    raw: Sequence[bytes] = (),
    **more: Any,
) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="instances", datatype=datatype)
    tensor.shape.extend([len(numbers), 1] if shape is None else shape)
    if not raw:
        getattr(tensor.contents, field or FIELDS[datatype]).extend(numbers)
    return pb.ModelInferRequest(model_name=NAME, inputs=[tensor], raw_input_contents=raw, **more)


def outcome(message: bytes, service: Any = SERVICE) -> tuple[str, Any]:
    """Return the code, and the message of the error or what is predicted."""
    response = answer(service, infer, message)
    if response.error:
        return response.error.grpc_code, str(response.error)
    found = pb.ModelInferResponse.FromString(response.body)
    (output,) = found.outputs
    values = list(output.contents.fp64_contents)
    if found.raw_output_contents:
        values = np.frombuffer(found.raw_output_contents[0], "<f8").tolist()
    assert (output.datatype, list(output.shape), response.rows) == ("FP64", [len(values)], len(values))
    return "OK", (found.id, output.name, values)


def check(message: pb.ModelInferRequest, code: str, expected: Any, service: Any = SERVICE) -> None:
    """Check the outcome of a message, short and long."""
    body = message.SerializeToString()
    for form in (body, PADDING + body, body + PADDING):
        assert outcome(form, service) == (code, expected)


def predictions(*values: float) -> tuple[str, str, list[float]]:
    return "", "predictions", [938.25 * value + 152.0 for value in values]


def refused(message: pb.ModelInferRequest, expected: str, code: str = "INVALID_ARGUMENT") -> None:
    check(message, code, expected)


@pytest.mark.parametrize("datatype", FIELDS)
def test_reads_typed_numbers_of_every_datatype(datatype: str) -> None:
    check(request(datatype, (1, 0, 1)), "OK", predictions(1, 0, 1))


@pytest.mark.parametrize("datatype", TYPES)
def test_reads_raw_numbers_of_every_datatype(datatype: str) -> None:
    raw = np.array([1, 0, 1], TYPES[datatype]).tobytes()
    check(request(datatype, (1, 0, 1), raw=[raw]), "OK", predictions(1, 0, 1))


@pytest.mark.parametrize("datatype", [name for name in FIELDS if "INT" in name])
def test_takes_the_least_and_the_greatest_integer_and_none_beyond(datatype: str) -> None:
    limits = np.iinfo(TYPES[datatype])
    check(
        request(datatype, (limits.min, limits.max)), "OK", predictions(float(limits.min), float(limits.max))
    )
    if limits.bits < 32:
        for wrong in (limits.min - 1, limits.max + 1):
            if wrong < 0 and limits.min == 0:
                continue
            refused(
                request(datatype, (0, wrong)),
                f"inputs[0].contents[1]: expected {datatype}, got the number {wrong}",
            )


def test_names_the_place_of_a_wrong_integer_in_a_later_piece() -> None:
    numbers = [2**14] * 70_000
    numbers[65_000] = 2**15
    message = request("INT16", numbers).SerializeToString()
    assert outcome(message, make_service()) == (
        "INVALID_ARGUMENT",
        "inputs[0].contents[65000]: expected INT16, got the number 32768",
    )


def test_a_raw_bool_is_0_or_1() -> None:
    refused(request("BOOL", (0, 0), raw=[b"\1\2"]), "inputs[0][1]: expected BOOL, got the number 2")


@pytest.mark.parametrize("datatype", FIELDS)
def test_refuses_numbers_in_the_field_of_another_datatype(datatype: str) -> None:
    for other in set(FIELDS.values()) - {FIELDS[datatype]}:
        message = request(datatype, (1, 0), field=other)
        refused(message, f"inputs[0].contents: {datatype} needs {FIELDS[datatype]}, got {other}")


def test_refuses_numbers_in_two_fields() -> None:
    message = request()
    message.inputs[0].contents.int_contents.append(1)
    refused(message, "inputs[0].contents: FP64 needs fp64_contents, got int_contents")


def test_fp16_has_no_typed_numbers() -> None:
    message = request("FP16", (1, 0), field="fp32_contents")
    refused(message, "inputs[0].contents: FP16 needs raw_input_contents, got fp32_contents")
    refused(request("FP16", (), field="fp32_contents"), "inputs[0].contents: FP16 needs raw_input_contents")


@pytest.mark.parametrize("datatype", ["BYTES", "", "fp64", "FP8"])
def test_refuses_other_datatypes(datatype: str) -> None:
    expected = f'inputs[0].datatype: expected one of {", ".join(TYPES)}, got the string "{datatype}"'
    refused(request(datatype, (1, 0), field="fp64_contents"), expected)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([3, 1], "inputs[0]: shape [3, 1] needs 3 numbers, got 2"),
        ([1, 1], "inputs[0]: shape [1, 1] needs 1 number, got 2"),
        ([2, 2], "inputs[0]: shape [2, 2] needs 4 numbers, got 2"),
        ([1, 2], "inputs[0].shape: expected [n, 1], got [1, 2]"),
        ([-2, 1], "inputs[0].shape: expected a list of sizes, got a list of 2"),
        ([], "inputs[0].shape: expected one or two sizes, got 0"),
        ([2, 1, 1], "inputs[0].shape: expected one or two sizes, got 3"),
        ([1] * 1000, "inputs[0].shape: expected one or two sizes, got 3"),
    ],
)
def test_refuses_a_wrong_shape(shape: list[int], expected: str) -> None:
    refused(request(shape=shape), expected)


def test_a_shape_of_one_size_is_enough_for_one_feature() -> None:
    check(request(shape=[2]), "OK", predictions(1, 0))


def test_reads_a_tensor_for_each_feature() -> None:
    tensors: list[dict[str, Any]] = [
        {"name": "bp", "datatype": "INT8", "shape": [2, 1], "contents": {"int_contents": [2, 4]}},
        {"name": "bmi", "datatype": "FP64", "shape": [2], "contents": {"fp64_contents": [1, 0]}},
    ]
    message = pb.ModelInferRequest(model_name=NAME, inputs=tensors)
    check(message, "OK", ("", "predictions", [938.25 - 1 + 152, 150.0]), WIDE)
    raw = [np.array([2, 4], "<i1").tobytes(), np.array([1, 0], "<f8").tobytes()]
    for tensor in message.inputs:
        tensor.ClearField("contents")
    message.raw_input_contents.extend(raw)
    check(message, "OK", ("", "predictions", [938.25 - 1 + 152, 150.0]), WIDE)


def test_refuses_features_that_are_missing() -> None:
    message = request(shape=[2])
    message.inputs[0].name = "bmi"
    check(message, "INVALID_ARGUMENT", 'inputs: missing feature "bp"', WIDE)


def test_refuses_a_request_without_inputs() -> None:
    refused(pb.ModelInferRequest(model_name=NAME), 'inputs: missing feature "bmi"')


def test_refuses_raw_tensors_that_do_not_belong_to_the_inputs() -> None:
    raw = np.array([1, 0], "<f8").tobytes()
    refused(request(raw=[raw, raw]), "raw_input_contents: expected 1 tensors, got 2")
    refused(request(raw=[raw[:-1]]), "inputs[0]: expected a multiple of 8 bytes, got 15 bytes")
    both = request()
    both.raw_input_contents.append(raw)
    refused(both, "inputs[0].contents: not allowed together with raw_input_contents")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_refuses_rows_without_a_finite_prediction(value: float) -> None:
    for numbers in ([value], [1.0, value]):
        code, message = outcome(request("FP64", numbers).SerializeToString())
        assert (code, message) == outcome(request("FP64", numbers).SerializeToString() + PADDING)
        assert code == "INVALID_ARGUMENT"
        assert f"[{len(numbers) - 1}]" in message


def test_one_row_is_predicted_like_many() -> None:
    raw = np.array([0.1], "<f8").tobytes()
    for message in (request("FP64", [0.1]), request("FP64", [0.1], raw=[raw])):
        check(message, "OK", predictions(0.1))


def test_answers_raw_tensors_by_raw_tensors_and_typed_ones_by_typed_ones() -> None:
    for raw in ((), [np.array([1, 0], "<f8").tobytes()]):
        body = request(raw=raw).SerializeToString()
        found = pb.ModelInferResponse.FromString(answer(SERVICE, infer, body).body)
        assert (found.model_name, found.model_version) == (NAME, "7")
        assert (len(found.raw_output_contents), found.outputs[0].HasField("contents")) == (bool(raw), not raw)


def test_takes_any_name_of_a_sole_output_but_no_two_that_contradict() -> None:
    check(request(outputs=[{"name": "output-0"}]), "OK", ("", "output-0", predictions(1, 0)[2]))
    code, _ = outcome(request(outputs=[{"name": "predictions"}, {"name": "other"}]).SerializeToString())
    assert code == "INVALID_ARGUMENT"


def test_answers_by_the_id_of_the_request() -> None:
    check(request(id="order-17"), "OK", ("order-17", *predictions(1, 0)[1:]))


def test_an_unknown_model_or_version_is_not_found() -> None:
    message = request(model_version="8")
    refused(message, f"model {NAME} has no version 8; this server has 7", "NOT_FOUND")
    message.model_name = "other"
    refused(message, f"model other does not exist; this server has {NAME}", "NOT_FOUND")


def test_refuses_too_many_rows_before_they_are_read() -> None:
    for datatype in ("FP64", "INT64"):
        message = request(datatype, [0] * 20_001)
        assert outcome(message.SerializeToString()) == ("RESOURCE_EXHAUSTED", "more than 20000 rows")


def test_refuses_a_message_of_very_many_small_fields() -> None:
    body = request().SerializeToString() + b"\x1a\x00" * 2**17
    assert outcome(body) == ("INVALID_ARGUMENT", "more than 262144 bytes beside the tensors' numbers")


def test_a_message_that_is_not_utf8_is_malformed() -> None:
    body = request().SerializeToString() + b"\x1a\x01\xff"
    for form in (body, body + PADDING):
        assert outcome(form) == ("INVALID_ARGUMENT", "malformed message")


DATATYPES = st.sampled_from([*FIELDS, "FP16", "BYTES"])
INTEGERS = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1])
NUMBERS = {
    "bool_contents": st.booleans(),
    "int_contents": INTEGERS,
    "int64_contents": st.integers(-(2**63), 2**63 - 1) | INTEGERS,
    "uint_contents": INTEGERS.map(abs),
    "uint64_contents": st.integers(0, 2**64 - 1) | INTEGERS.map(abs),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Messages of one tensor, some of them with a wrong part or a wrong byte."""
    datatype = draw(DATATYPES)
    field = draw(st.sampled_from([FIELDS.get(datatype, "fp32_contents")] * 5 + list(NUMBERS)))
    numbers = draw(st.lists(NUMBERS[field], max_size=6))
    shape = draw(st.sampled_from([[len(numbers), 1], [len(numbers)], [1, 2]]))
    raw = draw(st.lists(st.binary(max_size=24), max_size=1))
    message = request(datatype, numbers, field=field, shape=shape, raw=raw)
    body = bytearray(message.SerializeToString())
    if draw(st.sampled_from([False, False, True])):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


@given(bodies())
@settings(max_examples=150)
def test_a_long_message_has_the_same_outcome_as_a_short_one(body: bytes) -> None:
    short = outcome(body)
    assert short == outcome(PADDING + body)
    if short != ("INVALID_ARGUMENT", "malformed message"):  # else the padding may belong to a broken field
        assert short == outcome(body + PADDING)
