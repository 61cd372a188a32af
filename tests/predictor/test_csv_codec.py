import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import csv as csv_codec
from predictor.errors import InvalidInput

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 3)), elements=finite),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    header=st.booleans(),
)
def test_reads_numbers_bit_for_bit(X: np.ndarray[Any, Any], end: str, quoting: Any, header: bool) -> None:
    names = ["a", "b", "c"][: X.shape[1]]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=quoting)
    if header:
        writer.writerow(names)
    writer.writerows(X.tolist())
    np.testing.assert_array_equal(csv_codec.read(out.getvalue().encode(), names), X)


@pytest.mark.parametrize("text", ["1\n2", "1\n\n2\n\n", "\ufeff1\n2\n", "+1\n2.\n", " 1 \n 2\n", "a\n1\n2"])
def test_accepts_common_variants_of_csv(text: str) -> None:
    assert csv_codec.read(text.encode(), ["a"]).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "text", ["b,a\r1,2\r3,4", "b,a\r1,2\n3,4\n", "b,a\r\n1,2\r3,4\r\n", "\ufeffb,a\n1,2\n3,4"]
)
def test_reads_columns_by_name_after_any_line_end(text: str) -> None:
    assert csv_codec.read(text.encode(), ["a", "b"]).tolist() == [[2.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c\n1,2", 'line 1: the column "c" is no feature'),
        ("a\n1", "line 1: the feature b is missing"),
        ("a,b,a\n1,2,3", "line 1: a column stands twice"),
        ("a,b\n1,2\n1,1_0", 'line 3: "1_0" for b is not a number'),
        ("1,2\n\n1,nan", 'line 3: "nan" for b is not a number'),
        ("1,2\n1,x", 'line 2: expected a number for b, got "x"'),
        ("1,2\n1", "line 2: expected 2 numbers, got 1 fields"),
        ("a,b\n", "the body holds no line of numbers"),
    ],
)
def test_error_names_the_line_and_the_feature(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        csv_codec.read(text.encode(), ["a", "b"])


def test_brackets_cannot_smuggle_in_rows() -> None:
    with pytest.raises(InvalidInput, match="line 1"):
        csv_codec.read(b"1],[2\n", ["a"])
    with pytest.raises(InvalidInput, match="line 2"):
        csv_codec.read(b"1\n1],[2\n", ["a"])


@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_invalid_input(body: bytes) -> None:
    try:
        X = csv_codec.read(body, ["a", "b"])
    except InvalidInput:
        return
    assert X.shape[1] == 2
    assert np.isfinite(X).all()


@given(values=hnp.arrays(np.float64, st.integers(1, 30), elements=finite))
def test_writes_one_prediction_per_line(values: np.ndarray[Any, Any]) -> None:
    lines = csv_codec.write(values).decode().split("\r\n")
    assert lines[0] == "prediction"
    assert lines[-1] == ""
    assert [float(line) for line in lines[1:-1]] == values.tolist()
