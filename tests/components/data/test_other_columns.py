"""Other columns of held-out rows: which are kept, how shards merge, and what a champion reads from them."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.data import other_columns
from components.data.settings import Settings
from predictor.model.inputs import UNKNOWN, Input


def usable(values: Any, **settings: Any) -> pa.ChunkedArray | None:
    table = other_columns.usable(pa.table({"z": values}), Settings(**settings))
    return table["z"] if "z" in table.column_names else None


def numbers(values: Any, one: Input, decimal_point: str = ".") -> list[float]:
    return other_columns.numbers(pa.chunked_array([pa.array(values)]), one, decimal_point).tolist()


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["1.50", " x ", "", None], ["1.50", "x", None, None]),
        ([1, 2, None], [1, 2, None]),
        ([True, None, False], [True, None, False]),
        ([decimal.Decimal("1.5"), None], [1.5, None]),
        ([dt.date(2026, 1, 2)], ["2026-01-02"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([1.5, None], pa.float32()), [1.5, None]),
    ],
)
def test_keeps_values_as_they_were_read(values: Any, kept: list[object]) -> None:
    column = usable(values)
    assert column is not None
    assert column.to_pylist() == kept


def test_leaves_out_what_looks_like_an_identifier_but_keeps_numbers_in_text() -> None:
    texts = [f"person {number}" for number in range(5)]
    assert usable(texts, max_categories=4) is None
    assert usable(texts, max_categories=5) is not None
    assert usable([str(number) for number in range(5)], max_categories=4) is not None
    assert usable([[1], [2]]) is None


def test_reads_values_as_the_type_of_the_input() -> None:
    codes = ["01", "1", "07", ""]
    category = Input("z", 0.0, 1.0, type="category", categories=("07", "01"))
    np.testing.assert_array_equal(numbers(codes, category), [1, UNKNOWN, 0, np.nan])
    np.testing.assert_array_equal(numbers(codes, Input("z", 0.0, 1.0)), [1, 1, 7, np.nan])
    np.testing.assert_array_equal(numbers(["1,5"], Input("z", 0.0, 1.0), ","), [1.5])
    np.testing.assert_array_equal(numbers([0, 1], Input("z", 0.0, 1.0, type="boolean")), [0, 1])
    np.testing.assert_array_equal(
        numbers([3, 4], Input("z", 0, 1, type="category", categories=("4",))), [-1, 0]
    )


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ([[1, 2], [3, None]], [1, 2, 3, None]),
        ([[1], [2.5]], [1.0, 2.5]),
        ([[1], ["a"]], ["1", "a"]),
        ([[True], ["a"]], ["true", "a"]),
        ([[None], [True]], [None, True]),
        ([[None], [None]], [None, None]),
    ],
)
def test_merges_columns_of_different_types(parts: list[list[object]], merged: list[object]) -> None:
    tables = [other_columns.usable(pa.table({"z": part, "a": part}), Settings()) for part in parts]
    tables[-1] = tables[-1].drop(["a"])
    whole = other_columns.merge(tables)
    assert whole.column_names == ["z"]
    assert whole["z"].to_pylist() == merged
