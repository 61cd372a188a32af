from typing import Any

import numpy as np
import pytest

from predictor.codecs import tensors
from predictor.codecs.tensors import Tensor
from predictor.errors import InvalidInput

NAMES = ["a", "b"]


def tensor(name: str, shape: tuple[int, ...], values: list[float]) -> Tensor:
    return Tensor(name, shape, np.array(values))


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor("instances", (2, 2), [1.0, 2.0, 3.0, 4.0])],
        [tensor("a", (2,), [1.0, 3.0]), tensor("b", (2, 1), [2.0, 4.0])],
        [tensor("b", (2,), [2.0, 4.0]), tensor("a", (2,), [1.0, 3.0])],
    ],
)
def test_one_tensor_or_one_for_each_feature_in_any_order_makes_the_rows(inputs: list[Tensor]) -> None:
    assert tensors.matrix(inputs, NAMES).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_shape_of_a_single_feature_may_leave_out_the_second_size() -> None:
    assert tensors.matrix([tensor("instances", (2,), [1.0, 2.0])], ["a"]).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("instances", (3, 2), [1.0])], r"inputs\[0\]: shape \[3, 2\] needs 6 numbers, got 1"),
        ([tensor("instances", (2,), [1.0, 2.0])], r"inputs\[0\]\.shape: expected \[n, 2\], got \[2\]"),
        ([tensor("instances", (0, 2), [])], "at least one row"),
        ([tensor("a", (1,), [1.0])], "the feature b is missing"),
        ([tensor("a", (1,), [1.0]), tensor("c", (1,), [1.0])], r"inputs\[1\]\.name: expected .* got 'c'"),
        ([tensor("a", (1,), [1.0]), tensor("a", (1,), [1.0])], "a is given twice"),
        ([tensor("a", (1,), [1.0]), tensor("b", (2,), [1.0, 2.0])], "different numbers of rows"),
        ([tensor("a", (1, 2), [1.0, 2.0])], r"inputs\[0\]\.shape: expected \[n\] or \[n, 1\], got \[1, 2\]"),
    ],
)
def test_refuses_tensors_that_make_no_rows(inputs: list[Tensor], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        tensors.matrix(inputs, NAMES)


@pytest.mark.parametrize(("name", "dtype"), [
    ("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("INT64", "<i8"), ("INT32", "<i4"), ("INT16", "<i2"),
    ("INT8", "i1"), ("UINT64", "<u8"), ("UINT32", "<u4"), ("UINT16", "<u2"), ("UINT8", "u1"),
])  # fmt: skip
def test_reads_the_bytes_of_every_datatype(name: str, dtype: str) -> None:
    found = tensors.datatype(name, "x")
    values = [0.0, 1.0, 100.0]
    assert tensors.from_bytes(np.array(values, dtype).tobytes(), found, "x").tolist() == values
    with pytest.raises(InvalidInput, match="x: 1 bytes are not a whole number"):
        tensors.from_bytes(b"1", np.dtype("<f8"), "x")


@pytest.mark.parametrize("value", ["BYTES", "fp64", "", None, 7, []])
def test_refuses_other_datatypes(value: Any) -> None:
    with pytest.raises(InvalidInput, match="x: expected one of FP64, FP32"):
        tensors.datatype(value, "x")


@pytest.mark.parametrize("value", [None, 3, "3", [], [1, 2, 3], [-1], [1.0], [True], ["1"]])
def test_refuses_shapes_that_are_not_one_or_two_sizes(value: Any) -> None:
    with pytest.raises(InvalidInput, match="x: expected"):
        tensors.shape(value, "x")
