from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.problems import ROWS_LISTED
from components.data.sources.values import ColumnType, Values, common_type, join


def convert(
    values: Sequence[object], kind: pa.DataType | None = None, type_: str | None = None, decimal: str = "."
) -> Values:
    return Values.of("x", pa.chunked_array([pa.array(values, type=kind)]), type_, decimal)


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
    np.testing.assert_array_equal(numbers.numbers, [1, np.nan, 3])
    assert numbers.numbers.dtype == np.float64
    assert numbers.rejected.size == 0


@pytest.mark.parametrize("values", [[True, False, None], ["true", "False", ""], ["True", "0", None]])
def test_booleans_are_one_and_zero(values: list[object]) -> None:
    found = convert(values)
    assert found.type == "boolean"
    np.testing.assert_array_equal(found.numbers, [1, 0, np.nan])


def test_zero_and_one_are_numbers_unless_said_otherwise() -> None:
    assert convert(["0", "1"]).type == convert([0, 1]).type == "number"
    assert convert(["0", "1"], type_="boolean").type == convert([0, 1], type_="boolean").type == "boolean"
    assert convert([0, 2, None], type_="boolean").rejected.tolist() == [1]
    assert convert([True, False], type_="number").type == "number"


def test_categories_are_numbered_in_alphabetical_order() -> None:
    found = convert(["b", " a ", None, "b"])
    assert (found.type, found.categories) == ("category", ("a", "b"))
    np.testing.assert_array_equal(found.numbers, [1, 0, np.nan, 1])
    assert [found.show(row) for row in (0, 2)] == ["'b'", ""]
    encoded = pa.dictionary(pa.int8(), pa.string())
    np.testing.assert_array_equal(convert(["b", "a", None, "b"], encoded).numbers, found.numbers)


def test_whole_numbers_can_be_categories() -> None:
    columns: list[list[object]] = [["3", "12", None], [3, 12, None], [3.0, 12.0, np.nan]]
    for values in columns:
        found = convert(values, type_="category")
        assert found.categories == ("12", "3")
        np.testing.assert_array_equal(found.numbers, [1, 0, np.nan])


def test_text_that_looks_like_numbers_is_no_category() -> None:
    for values in (["1", "2", "3+", "0"], ["5 %", "7 %", "x"], ["$ 1,000.00", "$ 2"]):
        found = convert(values)
        assert (found.type, found.reason) == ("number", "is not a number")
        assert found.rejected.size
        assert found.remedy == 'if its values are categories, add types={"x": "category"}'


@pytest.mark.parametrize(
    "values",
    [
        ["2020-01-31", "2020-02-01", None],
        ["31.1.2020", "1.2.2020"],
        ["2020-01-31T12:00:00Z", "2020-01-31 12:00"],
        ["31-Jan-20", "1-Feb-20"],
        ["January 31, 2020", "Feb. 1 2020"],
        ["08:30", "12:00:05"],
        ["2020-01", "2020-12"],
        [date(2020, 1, 31), None],
    ],
)
def test_dates_are_refused_with_what_can_be_done(values: list[object]) -> None:
    found = convert(values)
    assert found.reason == "holds dates or times"
    assert found.rejected.size == sum(value is not None for value in values)
    assert found.unusable
    assert found.remedy.startswith('add types={"x": "category"}')


@pytest.mark.parametrize("values", [["Room 12", "Room 7"], ["10ABC25", "11ABD20"], ["1000-10", "1200-31"]])
def test_codes_are_not_taken_for_dates(values: list[object]) -> None:
    assert convert(values).type == "category"


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (["1", "?", "2"], "if that stands for a missing value, leave the cell empty"),
        (["1", "x", "2"], 'if its values are categories, add types={"x": "category"}'),
        (["1,000", "2,500"], "write numbers without thousands separators; for decimal commas add decimal=,"),
        (["1,5", "2,50"], "if its numbers have decimal commas, add decimal=,"),
    ],
)
def test_says_what_to_do_about_text_among_numbers(values: list[object], remedy: str) -> None:
    assert convert(values).remedy == remedy


def test_reads_text_that_is_stored_as_bytes() -> None:
    assert convert([b"a", b"b", None]).categories == ("a", "b")
    assert convert([b"\xff", b"b"]).reason == "is of the type binary"


def test_true_and_false_can_be_a_target() -> None:
    assert convert(["true", "false", None], type_="number").type == "number"


def test_reads_decimal_commas_where_asked_for() -> None:
    found = convert(["1,5", "-2,5e3", "3", "1.5"], decimal=",")
    np.testing.assert_array_equal(found.numbers, [1.5, -2500, 3, np.nan])
    assert found.rejected.tolist() == [3]
    assert convert(["1,5", "2,5", "3"]).remedy == "if its numbers have decimal commas, add decimal=,"


def test_reads_a_hash_that_looks_like_a_number() -> None:
    """It ended the process with pandas 2.3.3: pandas-dev/pandas#63650."""
    found = convert(["1", "8e2569614270f3d8b9e7", "2"])
    assert (found.type, found.rejected.tolist()) == ("number", [1])


def test_rounds_integers_beyond_the_precision_of_doubles() -> None:
    np.testing.assert_array_equal(convert([2**53 + 1]).numbers, [2.0**53])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_parses_numbers_in_text_with_surrounding_blanks(kind: pa.DataType) -> None:
    numbers = convert(["1.5", " -2e3 ", "+4", ".5", "", "  ", None, "nan", "-inf"], kind)
    np.testing.assert_array_equal(
        numbers.numbers, [1.5, -2000, 4, 0.5, np.nan, np.nan, np.nan, np.nan, -np.inf]
    )
    assert numbers.rejected.size == 0


def test_distinguishes_invalid_text_from_missing_values() -> None:
    numbers = convert(["1", "1,5", None, "1 000", "0x1A", "", "2"])
    np.testing.assert_array_equal(numbers.numbers, [1, np.nan, np.nan, np.nan, np.nan, np.nan, 2])
    assert numbers.rejected.tolist() == [1, 3, 4]
    assert [numbers.show(row) for row in (0, 1, 2, 3)] == ["1", "'1,5'", "", "'1 000'"]


def test_keeps_samples_of_the_first_bad_values_only() -> None:
    numbers = convert(["x"] * 1000, type_="number")
    assert numbers.rejected.size == 1000
    assert len(numbers.samples) == ROWS_LISTED


def test_lists_are_refused() -> None:
    found = convert([[1.0], None])
    assert found.rejected.tolist() == [0]
    assert found.reason == "is of the type list<item: double>"


def test_null_columns_are_missing_values() -> None:
    numbers = convert([None, None])
    assert np.isnan(numbers.numbers).all()
    assert numbers.rejected.size == 0


def test_joined_columns_keep_the_positions_of_bad_values() -> None:
    parts = [convert(["1", "2", "x"]), convert([2, 3]), convert(["y", "4"])]
    joined, problem = join("x", [(str(number), part) for number, part in enumerate(parts)])
    assert problem is None
    np.testing.assert_array_equal(joined.numbers, [1, 2, np.nan, 2, 3, np.nan, 4])
    assert joined.rejected.tolist() == [2, 5]
    assert (joined.show(2), joined.show(5)) == ("'x'", "'y'")


def test_joined_categories_are_numbered_anew() -> None:
    joined, problem = join("x", [("1", convert(["b"])), ("2", convert([None])), ("3", convert(["a", "b"]))])
    assert (problem, joined.categories) == (None, ("a", "b"))
    np.testing.assert_array_equal(joined.numbers, [1, np.nan, 0, 1])


def test_a_conflict_of_types_names_the_files() -> None:
    parts = [("a.csv", convert(["1"])), ("b.csv", convert(["1", "2"])), ("c.csv", convert(["a"]))]
    assert str(join("x", parts)[1]) == (
        "column 'x' is a number in a.csv and a category in c.csv; say what it is, such as "
        'types={"x": "category"}, or leave it out of the features'
    )


def test_zero_and_one_are_booleans_beside_a_file_that_has_booleans() -> None:
    files: list[tuple[str, ColumnType, bool]] = [
        ("a", "number", True),
        ("b", "boolean", True),
        ("c", "empty", True),
    ]
    assert common_type("x", files) == ("boolean", None)
    assert common_type("x", [("a", "number", False), *files[1:]])[1] is not None


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_parses_text_to_the_exact_double(values: list[float]) -> None:
    np.testing.assert_array_equal(convert([repr(value) for value in values]).numbers, values)
