import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import arrow
from predictor.errors import InvalidInput

finite = st.floats(allow_nan=False, allow_infinity=False)


def stream(table: Any, rows: int | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return out.getvalue()


WHOLE = stream(pa.table({"a": np.arange(50.0), "b": pa.array(range(50), pa.int32())}), rows=20)


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=finite),
    rows=st.integers(1, 50),
)
def test_columns_are_read_bit_for_bit_from_any_batches(X: np.ndarray[Any, Any], rows: int) -> None:
    names = ["a", "b", "c"][: X.shape[1]]
    table = pa.table({name: X[:, names.index(name)] for name in reversed(names)})
    np.testing.assert_array_equal(arrow.read(stream(table, rows), names), X)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_every_type_of_numbers_is_read(dtype: str) -> None:
    values = np.array([0, 1, 100], dtype=dtype)
    assert arrow.read(stream(pa.table({"a": values})), ["a"]).ravel().tolist() == [0.0, 1.0, 100.0]


def test_a_sliced_table_is_read_as_what_it_shows() -> None:
    table = pa.table({"a": np.arange(10.0)}).slice(3, 4)
    assert arrow.read(stream(table), ["a"]).ravel().tolist() == [3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": pa.array([True])}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array([1], pa.timestamp("s"))}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array(["x"]).dictionary_encode()}), "the column 'a' holds no plain numbers"),
        (pa.table({"a": pa.array([[1.0]])}), "the column 'a' holds no plain numbers"),
        (pa.table({"b": [1.0]}), "the column 'b' is no feature"),
        (pa.table([pa.array([1.0]), pa.array([1.0])], names=["a", "a"]), "a column stands twice"),
        (pa.table({"a": pa.array([1.0, 2.0, None])}), "row 2: a is null"),
    ],
)
def test_what_is_no_table_of_features_is_refused(table: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        arrow.read(stream(table), ["a"])


def test_the_row_of_a_null_is_counted_over_all_batches() -> None:
    table = pa.table({"a": pa.array([1.0] * 30 + [None])})
    with pytest.raises(InvalidInput, match="row 30: a is null"):
        arrow.read(stream(table, 7), ["a"])


def test_compressed_batches_are_refused() -> None:
    table = pa.table({"a": np.zeros(1000)})
    with pytest.raises(InvalidInput, match="compressed record batches"):
        arrow.read(stream(table, compression="zstd"), ["a"])


@settings(max_examples=2000)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
    end=st.integers(0, len(WHOLE)),
)
def test_a_spoilt_stream_raises_nothing_but_invalid_input(changes: list[tuple[int, int]], end: int) -> None:
    body = bytearray(WHOLE)
    for place, value in changes:
        body[place] = value
    for spoilt in (body, body[:end]):
        try:
            X = arrow.read(spoilt, ["a", "b"])
        except InvalidInput:
            continue
        assert X.shape[1] == 2


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_predictions_are_written_so_that_arrow_reads_them_back(values: np.ndarray[Any, Any]) -> None:
    table = pa.ipc.open_stream(arrow.write(values)).read_all()
    table.validate(full=True)
    np.testing.assert_array_equal(table["prediction"].to_numpy(), values)
