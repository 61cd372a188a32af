from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.problems import ROWS_LISTED
from components.data.sources.numbers import Numbers


def convert(values: Sequence[object], kind: pa.DataType | None = None) -> Numbers:
    return Numbers.of(pa.chunked_array([pa.array(values, type=kind)]))


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(5, 1),
        pa.dictionary(pa.int8(), pa.int64()),
    ],
    ids=str,
)
def test_converts_every_numeric_type_to_doubles(kind: pa.DataType) -> None:
    values: Sequence[object] = [Decimal(1), None, Decimal(3)] if pa.types.is_decimal(kind) else [1, None, 3]
    numbers = convert(values, kind)
    np.testing.assert_array_equal(numbers.values, [1, np.nan, 3])
    assert numbers.values.dtype == np.float64
    assert numbers.not_numbers.size == 0


def test_converts_booleans_to_one_and_zero() -> None:
    np.testing.assert_array_equal(convert([True, False, None]).values, [1, 0, np.nan])


def test_rounds_integers_beyond_the_precision_of_doubles() -> None:
    np.testing.assert_array_equal(convert([2**53 + 1]).values, [2.0**53])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_parses_numbers_in_text_with_surrounding_blanks(kind: pa.DataType) -> None:
    numbers = convert(["1.5", " -2e3 ", "+4", ".5", "", "  ", None, "nan", "-inf"], kind)
    np.testing.assert_array_equal(
        numbers.values, [1.5, -2000, 4, 0.5, np.nan, np.nan, np.nan, np.nan, -np.inf]
    )
    assert numbers.not_numbers.size == 0


def test_distinguishes_invalid_text_from_missing_values() -> None:
    numbers = convert(["1", "1,5", None, "1 000", "0x1A", "", "2"])
    np.testing.assert_array_equal(numbers.values, [1, np.nan, np.nan, np.nan, np.nan, np.nan, 2])
    assert numbers.not_numbers.tolist() == [1, 3, 4]
    assert [numbers.show(row) for row in (0, 1, 2, 3)] == ["1", "'1,5'", "nan", "'1 000'"]


def test_keeps_samples_of_the_first_bad_values_only() -> None:
    numbers = convert(["x"] * 1000)
    assert numbers.not_numbers.size == 1000
    assert len(numbers.samples) == ROWS_LISTED


def test_dates_and_lists_are_not_numbers() -> None:
    columns: list[Sequence[object]] = [[date(2020, 1, 1), None], [[1.0], None]]
    for values in columns:
        numbers = convert(values)
        assert numbers.not_numbers.tolist() == [0]
        assert np.isnan(numbers.values).all()


def test_null_columns_are_missing_values() -> None:
    numbers = convert([None, None])
    assert np.isnan(numbers.values).all()
    assert numbers.not_numbers.size == 0


def test_joined_columns_keep_the_positions_of_bad_values() -> None:
    numbers = Numbers.joined([convert(["1", "x"]), convert([2, 3]), convert(["y", "4"])])
    np.testing.assert_array_equal(numbers.values, [1, np.nan, 2, 3, np.nan, 4])
    assert numbers.not_numbers.tolist() == [1, 4]
    assert (numbers.show(1), numbers.show(4)) == ("'x'", "'y'")


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_parses_text_to_the_exact_double(values: list[float]) -> None:
    np.testing.assert_array_equal(convert([repr(value) for value in values]).values, values)
