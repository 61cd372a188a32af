"""Taking the numbers out of a message, and leaving the rest to the generated parser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictor.errors import InvalidInput
from predictor.grpc.wire import TEXTS, Message, header

CONTENTS = pb.ModelInferRequest.InferInputTensor.DESCRIPTOR.fields_by_name["contents"].number
DOUBLES = pb.InferTensorContents.DESCRIPTOR.fields_by_name["fp64_contents"].number


def take_apart(message: pb.ModelInferRequest) -> tuple[pb.ModelInferRequest, Message]:
    parts = Message(message.SerializeToString(), lambda _others: None)
    return pb.ModelInferRequest.FromString(parts.rest), parts


def tensor(name: str, **contents: object) -> pb.ModelInferRequest.InferInputTensor:
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype="FP64", shape=[2], contents=contents)


def test_takes_out_packed_numbers_and_raw_tensors() -> None:
    inputs = [tensor("a", fp64_contents=[0.5, -1.0]), tensor("b", int_contents=[1, -1])]
    rest, parts = take_apart(pb.ModelInferRequest(id="x", inputs=inputs, raw_input_contents=[b"raw", b""]))
    assert (rest.id, [item.name for item in rest.inputs], list(rest.raw_input_contents)) == (
        "x",
        ["a", "b"],
        [],
    )
    assert all(item.HasField("contents") and not item.contents.ListFields() for item in rest.inputs)
    assert np.frombuffer(parts.runs[0][DOUBLES][0]).tolist() == [0.5, -1.0]
    assert list(parts.runs[1]) == [2]
    assert [bytes(raw) for raw in parts.raw] == [b"raw", b""]


def test_leaves_numbers_that_are_not_packed() -> None:
    number = bytes([DOUBLES << 3 | 1]) + np.float64(0.5).tobytes()
    item = header(CONTENTS, 2 * len(number)) + 2 * number
    parts = Message(header(5, len(item)) + item, lambda _others: None)
    assert parts.runs == [{}]
    assert list(pb.ModelInferRequest.FromString(parts.rest).inputs[0].contents.fp64_contents) == [0.5, 0.5]


def test_keeps_the_runs_of_a_repeated_field_in_order() -> None:
    runs = b"".join(header(DOUBLES, 8) + np.float64(value).tobytes() for value in (1, 2))
    item = header(CONTENTS, len(runs)) + runs
    parts = Message(header(5, len(item)) + item, lambda _others: None)
    assert [np.frombuffer(run).tolist() for run in parts.runs[0][DOUBLES]] == [[1.0], [2.0]]


names = st.text(max_size=5)
numbers = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=4),
        "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
        "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=4),
        "fp32_contents": st.lists(st.floats(width=32), max_size=4),
        "fp64_contents": st.lists(st.floats(), max_size=4),
        "bytes_contents": st.lists(st.binary(max_size=4), max_size=2),
    },
)
items = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=names,
    datatype=names,
    shape=st.lists(st.integers(-1, 9), max_size=3),
    contents=st.none() | st.builds(lambda found: pb.InferTensorContents(**found), numbers),
)
messages = st.builds(
    pb.ModelInferRequest,
    model_name=names,
    id=names,
    inputs=st.lists(items, max_size=3),
    raw_input_contents=st.lists(st.binary(max_size=9), max_size=3),
)


@given(messages)
def test_the_parts_make_up_the_message_again(message: pb.ModelInferRequest) -> None:
    rest, parts = take_apart(message)
    for item, runs in zip(rest.inputs, parts.runs, strict=True):
        for number, found in runs.items():
            for run in found:  # texts have their tags and lengths
                tag = b"" if number == TEXTS else header(number, len(run))
                item.contents.MergeFromString(tag + bytes(run))
    rest.raw_input_contents.extend(map(bytes, parts.raw))
    assert rest.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x80" * 11,
        b"\x0a" + b"\xff" * 10 + b"\x01",
        b"\x29\0\0\0",
        b"\x2b",
        b"\x2a\x02\x2a\x05",
        b"\x2a\x04\x2a\x02\x3a\x09",
    ],
    ids=["no length", "cut off", "endless tag", "huge length", "short double", "group", "tensor", "numbers"],
)
def test_refuses_a_malformed_message(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^malformed message$"):
        Message(body, lambda _others: None)


def test_counts_what_is_not_numbers() -> None:
    counts: list[int] = []
    plain = tensor("a", fp64_contents=[0.5] * 10_000).SerializeToString()
    body = header(5, len(plain)) + plain + b"\x20\x01" * 100
    Message(body, counts.append)
    assert 200 < counts[-1] < 300


@pytest.mark.parametrize("length", [0, 1, 127, 128, 2**14 - 1, 2**14, 2**31])
def test_header_is_a_tag_and_a_length(length: int) -> None:
    tag, *digits = header(5, length)
    assert tag == 5 << 3 | 2
    assert sum((digit & 127) << 7 * place for place, digit in enumerate(digits)) == length
    assert [digit > 127 for digit in digits] == [True] * (len(digits) - 1) + [False]
