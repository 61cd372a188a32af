import io
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
from tests.support.models import numbers

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


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_pyarrow_reads_written_predictions(values: np.ndarray[Any, Any]) -> None:
    table = pa.ipc.open_stream(arrow.write(values)).read_all()
    table.validate(full=True)
    np.testing.assert_array_equal(table["prediction"].to_numpy(), values)
