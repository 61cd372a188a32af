import dataclasses
import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import arrow
from predictor.codecs.cost import TooCostly
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from tests.support.models import MIXED, numbers
from tests.support.typed import forms

finite = st.floats(allow_nan=False, allow_infinity=False)


def stream(table: Any, rows: int | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


def read(body: bytes | bytearray, names: list[str], *, inline: bool = False) -> np.ndarray[Any, Any]:
    return arrow.read(Request(body=body, inline=inline), numbers(*names))


WHOLE = stream(pa.table({"a": np.arange(50.0), "b": pa.array(range(50), pa.int32())}), rows=20)


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=finite),
    rows=st.integers(1, 50),
)
def test_reads_columns_bit_for_bit_whatever_the_batch_size(X: np.ndarray[Any, Any], rows: int) -> None:
    names = ["a", "b", "c"][: X.shape[1]]
    table = pa.table({name: X[:, names.index(name)] for name in reversed(names)})
    np.testing.assert_array_equal(read(stream(table, rows), names), X)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_reads_every_number_type(dtype: str) -> None:
    values = np.array([0, 1, 100], dtype=dtype)
    assert read(stream(pa.table({"a": values})), ["a"]).ravel().tolist() == [0.0, 1.0, 100.0]


def test_reads_only_the_rows_of_a_sliced_table() -> None:
    table = pa.table({"a": np.arange(10.0)}).slice(3, 4)
    assert read(stream(table), ["a"]).ravel().tolist() == [3.0, 4.0, 5.0, 6.0]


def test_leaves_a_schema_of_very_many_columns_to_a_thread() -> None:
    body = stream(pa.table({"a": [0.5], **{f"further {i}": [1] for i in range(600)}}))
    with pytest.raises(TooCostly):
        read(body, ["a"], inline=True)
    assert read(body, ["a"]).tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": pa.array([True])}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array([1], pa.timestamp("s"))}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array(["x"]).dictionary_encode()}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array([[1.0]])}), "the column 'a' holds no plain numbers"),
        (pa.table({"b": [1.0]}), 'columns: missing feature "a"; unknown feature "b"'),
        (pa.table([pa.array([1.0]), pa.array([1.0])], names=["a", "a"]), 'columns: repeated feature "a"'),
        (pa.table({"a": pa.array([1.0, 2.0, None])}), "row 2, a: the value is missing"),
    ],
)
def test_refuses_tables_that_are_not_plain_feature_columns(table: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(stream(table), ["a"])


def test_passes_over_columns_of_every_other_type() -> None:
    more = {
        "null": pa.nulls(2),
        "binary": pa.array([b"x", None]),
        "decimal": pa.array([1, None], pa.decimal128(5, 2)),
        "when": pa.array([1, 2], pa.timestamp("us", "UTC")),
        "list": pa.array([[1.0], None]),
        "views": pa.array([["long text that is not within its view"], []], pa.list_(pa.string_view())),
        "fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())),
        "struct": pa.array([{"a": "x", "b": [True]}, None]),
        "union": pa.UnionArray.from_dense(
            pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["x"])]
        ),
        "run": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["x"])),
        "dictionary": pa.array(["x", None]).dictionary_encode(),
    }
    table = pa.table({**more, "a": [1.5, 2.5], "last": pa.array(["x", "y"], pa.large_string())})
    assert read(stream(table), ["a"]).tolist() == [[1.5], [2.5]]


CITY = Input("city", 0, 2, type="category", categories=("Bern", "Zürich", "a\0", "a city with a long name"))
MISSING = dataclasses.replace(CITY, missing=1.0)
OPEN = dataclasses.replace(CITY, accepts_unknown=True)
TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int16(), pa.string())]


def codes(one: Input, column: Any, rows: int | None = None) -> list[float]:
    body = stream(pa.table({one.name: column}), rows)
    return arrow.read(Request(body=body), Inputs([one])).ravel().tolist()


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_texts_become_the_numbers_of_categories(kind: Any) -> None:
    texts = [*CITY.categories, "Bern"] * 3
    for rows in (None, 4):
        assert codes(CITY, pa.array(texts).cast(kind), rows) == [0, 1, 2, 3, 0] * 3
        assert codes(MISSING, pa.array(["Bern", None, ""]).cast(kind), rows) == [0, 1, 1]
        assert codes(OPEN, pa.array(["Bern", "x", "a", "a city with a long nam3"]).cast(kind), rows) == [
            0,
            -1,
            -1,
            -1,
        ]


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_names_the_row_of_an_unknown_or_missing_category(kind: Any) -> None:
    for texts, message in (
        (["Bern"] * 5 + ["Basel"], 'row 5, city: unknown category "Basel"; the model knows "Bern"'),
        (["Bern", None, "Basel"], "row 1, city: the value is missing"),
    ):
        with pytest.raises(InvalidInput) as raised:
            codes(CITY, pa.array(texts).cast(kind), 2)
        assert str(raised.value).startswith(message)


def test_a_dictionary_may_have_values_that_no_row_has_and_grow() -> None:
    values = pa.array(["Basel", "Bern", None, "Zürich"])
    column = pa.DictionaryArray.from_arrays(pa.array([1, 3, 1], pa.int8()), values)
    assert codes(CITY, column) == [0, 1, 0]
    out = io.BytesIO()
    schema = pa.schema({"city": pa.dictionary(pa.int8(), pa.string())})
    with pa.ipc.new_stream(
        out, schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    ) as writer:
        for known in (["Zürich"], ["Zürich", "Bern"], ["Bern", "Zürich"]):
            array = pa.DictionaryArray.from_arrays(pa.array(range(len(known)), pa.int8()), known)
            writer.write_batch(pa.record_batch({"city": array}))
    found = arrow.read(Request(body=out.getvalue()), Inputs([CITY]))
    assert found.ravel().tolist() == [1, 1, 0, 0, 1]


def test_booleans_and_whole_numbers_suit_booleans_and_categories() -> None:
    flag = Input("flag", 0, 1, type="boolean", missing=0.0)
    for values in (
        [True, None, False] * 5,
        pa.array([1, None, 0] * 5, pa.uint8()),
        pa.array([1.0, None, 0.0] * 5),
    ):
        assert codes(flag, pa.array(values)) == [1, 0, 0] * 5
    assert codes(flag, pa.nulls(3)) == [0, 0, 0]
    with pytest.raises(InvalidInput, match="row 1, flag: expected true or false, got the number 2"):
        codes(flag, pa.array([1, 2]))
    grade = Input("grade", 0, 2, type="category", categories=("7", "-1", "x"), missing=2.0)
    assert codes(grade, pa.array([-1, 7, None, -1])) == [1, 0, 2, 1]
    with pytest.raises(InvalidInput, match='row 1, grade: unknown category "8"'):
        codes(grade, pa.array([7, 8, 9]))


@pytest.mark.parametrize(
    ("one", "column", "message"),
    [
        (CITY, [1.5], "the column 'city' holds no texts"),
        (CITY, [True], "the column 'city' holds no texts"),
        (CITY, pa.nulls(1), "the column 'city' holds no texts"),
        (CITY, pa.array([1]).dictionary_encode(), "the column 'city' holds no texts"),
        (dataclasses.replace(CITY, type="boolean"), ["x"], "the column 'city' holds no booleans"),
    ],
)
def test_refuses_columns_of_a_type_that_does_not_suit_their_input(
    one: Input, column: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        codes(one, column if isinstance(column, pa.Array) else pa.array(column))


def test_null_error_counts_rows_across_batches() -> None:
    table = pa.table({"a": pa.array([1.0] * 30 + [None])})
    with pytest.raises(InvalidInput, match="row 30, a: the value is missing"):
        read(stream(table, 7), ["a"])


def test_checks_the_number_of_rows_before_it_reads_them() -> None:
    counts: list[int] = []
    arrow.read(Request(body=stream(pa.table({"a": np.arange(10.0)}), 4)), numbers("a"), counts.append)
    assert counts == [4, 8, 10]


def test_refuses_compressed_batches() -> None:
    table = pa.table({"a": np.zeros(1000)})
    with pytest.raises(InvalidInput, match="compressed record batches"):
        read(stream(table, compression="zstd"), ["a"])


def test_refuses_columns_without_end() -> None:
    table = pa.table({f"x{i}": [1.0] for i in range(2000)})
    with pytest.raises(InvalidInput, match="has 2000 columns, more than are needed"):
        read(stream(table), ["a"])


def test_reads_few_batches_on_the_event_loop() -> None:
    body = stream(pa.table({"a": np.arange(1000.0)}), 1)
    with pytest.raises(TooCostly):
        read(body, ["a"], inline=True)
    assert len(read(body, ["a"])) == 1000


@settings(max_examples=5 * settings().max_examples)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
    end=st.integers(0, len(WHOLE)),
)
def test_corrupted_streams_raise_only_invalid_input(changes: list[tuple[int, int]], end: int) -> None:
    body = bytearray(WHOLE)
    for place, value in changes:
        body[place] = value
    for corrupted in (body, body[:end]):
        try:
            X = read(corrupted, ["a", "b"])
        except InvalidInput:
            continue
        assert X.shape[1] == 2


MIXED_STREAMS = [
    form.body
    for form in forms([(1, None, True, "Bern", "x"), (2.5, 1, None, None, "other")] * 3)
    if form.name.startswith("Arrow")
]


@settings(max_examples=4 * settings().max_examples)
@given(
    body=st.sampled_from(MIXED_STREAMS),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6),
    end=st.floats(0, 1),
)
def test_corrupted_streams_of_mixed_columns_raise_only_invalid_input(
    body: bytes, changes: list[tuple[float, int]], end: float
) -> None:
    changed = bytearray(body)
    for place, value in changes:
        changed[int(place * len(body))] = value
    for corrupted in (changed, changed[: int(end * len(body))]):
        try:
            X = arrow.read(Request(body=corrupted), MIXED)
        except InvalidInput:
            continue
        assert X.shape[1] == len(MIXED)
        assert (X[:, 2:] >= -1).all()


def test_offsets_of_texts_stay_within_their_buffer() -> None:
    body = stream(pa.table({"city": pa.array(["Bern", "Bern"], pa.large_string())}))
    offsets = struct.pack("<3q", 0, 4, 8)
    place = body.index(offsets)
    most = 2**63
    for wrong in (
        (0, 4, 9),
        (0, 9, 8),
        (-1, 4, 8),
        (0, most - 1, -most + 3),
        (0, 4, -most),
        (1 << 40, 1 << 40, 1 << 40),
    ):
        changed = body[:place] + struct.pack("<3q", *wrong) + body[place + len(offsets) :]
        with pytest.raises(InvalidInput, match="a text of city ends outside of its record batch"):
            arrow.read(Request(body=changed), Inputs([CITY]))


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_pyarrow_reads_written_predictions(values: np.ndarray[Any, Any]) -> None:
    table = pa.ipc.open_stream(arrow.write(values)).read_all()
    table.validate(full=True)
    np.testing.assert_array_equal(table["prediction"].to_numpy(), values)
