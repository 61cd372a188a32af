import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.codecs import json_bulk, tensors
from predictor.codecs.json_document import Array
from predictor.codecs.tensors import Tensor
from predictor.errors import InvalidInput
from predictor.messages import Request
from tests.support.models import numbers

INPUTS = numbers("a", "b")


def tensor(name: str, shape: tuple[int, ...], values: list[float]) -> Tensor:
    return Tensor(name, shape, np.array(values))


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("instances", (2, 2), [1.0, 2.0, 3.0, 4.0])],
        [tensor("input-0", (2, 2), [1.0, 2.0, 3.0, 4.0])],
        [tensor("a", (2,), [1.0, 3.0]), tensor("b", (2, 1), [2.0, 4.0])],
        [tensor("b", (2,), [2.0, 4.0]), tensor("a", (2,), [1.0, 3.0])],
    ],
)
def test_one_tensor_or_one_for_each_feature_in_any_order_makes_the_rows(inputs: list[Tensor]) -> None:
    assert tensors.matrix(inputs, INPUTS).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_shape_of_a_single_feature_may_leave_out_the_second_size() -> None:
    assert tensors.matrix([tensor("instances", (2,), [1.0, 2.0])], numbers("a")).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("instances", (3, 2), [1.0])], r"inputs\[0\]: shape \[3, 2\] needs 6 numbers, got 1"),
        ([tensor("instances", (2,), [1.0, 2.0])], r"inputs\[0\]\.shape: expected \[n, 2\], got \[2\]"),
        ([tensor("instances", (0, 2), [])], "at least one row"),
        ([tensor("a", (1,), [1.0])], 'inputs: missing feature "b"'),
        ([tensor("a", (1,), [1.0]), tensor("c", (1,), [1.0])], 'missing feature "b"; unknown feature "c"'),
        ([tensor("a", (1,), [1.0]), tensor("a", (1,), [1.0])], 'missing feature "b"; repeated feature "a"'),
        ([tensor("a", (1,), [1.0]), tensor("b", (2,), [1.0, 2.0])], "different numbers of rows"),
        ([tensor("input-0", (2, 1), [1.0, 2.0])], 'missing features "a", "b"; unknown feature "input-0"'),
        (
            [tensor("a", (1, 2), [1.0, 2.0]), tensor("b", (1,), [1.0])],
            r"inputs\[0\]\.shape: expected \[n\] or \[n, 1\], got \[1, 2\]",
        ),
    ],
)
def test_refuses_tensors_that_make_no_rows(inputs: list[Tensor], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        tensors.matrix(inputs, INPUTS)


LIMITS = [(name, dtype) for name, dtype in tensors.TYPES.items() if dtype.kind in "iu"]


def from_json(text: str, datatype: str, shape: tuple[int, ...] = (3,)) -> list[float]:
    array = Array(text.encode(), 1, len(text.encode()) - 1, checked=True)
    elements = tensors.Numbers(array, tensors.datatype(datatype, "x"), nullable=False)
    return tensors.from_json(array, elements, shape, "inputs[0]", Request(), lambda rows: None).tolist()


@pytest.mark.parametrize(("datatype", "dtype"), LIMITS)
@pytest.mark.parametrize("padding", ["", " " * 100])
def test_integers_of_json_have_to_fit_their_type(datatype: str, dtype: np.dtype[Any], padding: str) -> None:
    least, greatest = np.iinfo(dtype).min, np.iinfo(dtype).max
    assert from_json(f"[{least},{padding}{greatest}, 7.0]", datatype) == [least, float(greatest), 7]
    for wrong in (least - 1, greatest + 1, 6.8, 0.1, 2**70, 1e300):
        with pytest.raises(
            InvalidInput, match=rf"inputs\[0\]\.data\[1\]: expected {datatype}, got the number"
        ):
            from_json(f"[1, {wrong},{padding} 3]", datatype)


@pytest.mark.parametrize(
    ("datatype", "text", "message"),
    [
        ("UINT8", "[1, 300, 1]", "inputs[0].data[1]: expected UINT8, got the number 300"),
        ("INT32", "[[1], [2, [6.8]]]", "inputs[0].data[1][1][0]: expected INT32, got the number 6.8"),
        ("BOOL", "[true, 1, 2]", "inputs[0].data[2]: expected BOOL, got the number 2"),
        ("FP64", "[1, true, 2]", "inputs[0].data[1]: expected a number, got true"),
        ("INT8", "[1, null, 2]", "inputs[0].data[1]: expected a number, got null"),
        ("FP64", "[1, 2, 3, 4]", "inputs[0]: shape [3] needs 3 numbers, got 4"),
    ],
)
def test_says_which_number_of_json_is_wrong(datatype: str, text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        from_json(text, datatype)
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["[true, false, 1]", "[1, 0, 1]", "[[true], [false], [1.0]]"])
def test_bool_counts_as_0_and_1(text: str) -> None:
    assert from_json(text, "BOOL") == [1, 0, 1]


def test_bool_of_binary_tensors_is_a_byte_each() -> None:
    dtype = tensors.datatype("BOOL", "x")
    assert tensors.from_bytes(b"\1\0\1", dtype, "x").tolist() == [1, 0, 1]
    with pytest.raises(InvalidInput, match=r"x\[1\]: expected BOOL, got the number 2"):
        tensors.from_bytes(b"\1\2", dtype, "x")


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16"])
def test_floating_point_numbers_of_json_are_rounded_as_in_binary(datatype: str) -> None:
    dtype = tensors.datatype(datatype, "x")
    numbers = np.array([0.1, 1 / 3, 1e300])
    with np.errstate(over="ignore"):
        expected = tensors.from_bytes(numbers.astype(dtype).tobytes(), dtype, "x").tolist()
    assert from_json(json.dumps(numbers.tolist()), datatype) == expected
    assert from_json(json.dumps([numbers[:1].tolist(), numbers[1:].tolist()]), datatype) == expected
    assert tensors.from_numbers(numbers, dtype, "x").tolist() == expected


@given(
    data=st.recursive(st.integers(-9, 9), lambda inner: st.lists(inner, max_size=4), max_leaves=30).filter(
        lambda data: isinstance(data, list)
    ),
    piece=st.sampled_from([24, 2**20]),
)
def test_nested_data_is_read_in_row_major_order(data: list[Any], piece: int) -> None:
    def flat(value: Any) -> list[int]:
        return [number for item in value for number in flat(item)] if isinstance(value, list) else [value]

    longest = max((len(json.dumps(item)) for item in data), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bulk, "PIECE", max(piece, longest))
        assert from_json(json.dumps(data), "FP64", (1000,)) == flat(data)


@pytest.mark.parametrize(
    ("datatype", "sent"), [("INT8", "<i4"), ("INT16", "<i4"), ("UINT8", "<u4"), ("UINT16", "<u4")]
)
def test_numbers_of_a_wider_type_have_to_fit_the_tensors_type(datatype: str, sent: str) -> None:
    dtype = tensors.datatype(datatype, "x")
    greatest = np.iinfo(dtype).max
    assert tensors.from_numbers(np.array([0, greatest], sent), dtype, "x").tolist() == [0, greatest]
    with pytest.raises(InvalidInput, match=rf"x\[1\]: expected {datatype}, got the number {greatest + 1}"):
        tensors.from_numbers(np.array([0, greatest + 1], sent), dtype, "x")


def test_every_number_of_the_tensors_own_type_fits() -> None:
    for datatype, dtype in LIMITS:
        numbers = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
        assert (
            tensors.from_numbers(numbers, tensors.datatype(datatype, "x"), "x").tolist()
            == numbers.astype(float).tolist()
        )


@pytest.mark.parametrize(("name", "dtype"), [
    ("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("INT64", "<i8"), ("INT32", "<i4"), ("INT16", "<i2"),
    ("INT8", "i1"), ("UINT64", "<u8"), ("UINT32", "<u4"), ("UINT16", "<u2"), ("UINT8", "u1"),
])  # fmt: skip
def test_reads_the_bytes_of_every_datatype(name: str, dtype: str) -> None:
    found = tensors.datatype(name, "x")
    values = [0.0, 1.0, 100.0]
    assert tensors.from_bytes(np.array(values, dtype).tobytes(), found, "x").tolist() == values
    with pytest.raises(InvalidInput, match="x: expected a multiple of 8 bytes, got 1 byte"):
        tensors.from_bytes(b"1", np.dtype("<f8"), "x")


@pytest.mark.parametrize("value", ["BYTES", "fp64", "", None, 7, []])
def test_refuses_other_datatypes(value: Any) -> None:
    with pytest.raises(InvalidInput, match="x: expected one of FP64, FP32"):
        tensors.datatype(value, "x")


@pytest.mark.parametrize("value", [None, 3, "3", [], [1, 2, 3], [-1], [1.0], [True], ["1"]])
def test_refuses_shapes_that_are_not_one_or_two_sizes(value: Any) -> None:
    with pytest.raises(InvalidInput, match="x: expected"):
        tensors.shape(value, "x")
