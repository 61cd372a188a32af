import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import csv as csv_codec
from predictor.codecs.cost import TooCostly
from predictor.errors import DeadlineExceeded, InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from tests.support.models import numbers

MISSING = "the value is missing, and the model was trained without missing values"

HINT = "it has only one line: curl keeps line ends with --data-binary"
PIECES = [4, 16, 2**20]
"""Sizes of a piece: in short ones a text has several."""

finite = st.floats(allow_nan=False, allow_infinity=False)


def read(
    body: bytes, names: list[str], *, inline: bool = False, abandoned: bool = False
) -> np.ndarray[Any, Any]:
    return csv_codec.read(Request(body=body, inline=inline, abandoned=abandoned), numbers(*names))


def outcome(body: bytes, names: list[str]) -> Any:
    try:
        return read(body, names).tolist()
    except InvalidInput as error:
        return str(error)


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
    np.testing.assert_array_equal(read(out.getvalue().encode(), names), X)


@pytest.mark.parametrize("text", ["1\n2", "1\n\n2\n\n", "\ufeff1\n2\n", "+1\n2.\n", " 1 \n 2\n", "a\n1\n2"])
def test_accepts_common_variants_of_csv(text: str) -> None:
    assert read(text.encode(), ["a"]).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "text", ["b,a\r1,2\r3,4", "b,a\r1,2\n3,4\n", "b,a\r\n1,2\r3,4\r\n", "\ufeffb,a\n1,2\n3,4"]
)
def test_reads_columns_by_name_after_any_line_end(text: str) -> None:
    assert read(text.encode(), ["a", "b"]).tolist() == [[2.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize("id_", ["7", "row 7", '"a,b"', ""])
@pytest.mark.parametrize("name", ["id", "2024", "", '"x,y"'])
def test_passes_over_further_columns_where_every_feature_is_there(name: str, id_: str) -> None:
    text = f"b,{name},a,{name}\n2,{id_},1,\n4,{id_},3,\n"
    assert read(text.encode(), ["a", "b"]).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_first_line_of_valid_categories_is_a_row_and_any_other_a_header() -> None:
    kinds = Input("kind", 0, 1, type="category", categories=("a", "b"))
    sizes = Input("size", 0, 1, type="category", categories=("a", "kind"))
    inputs = Inputs([kinds, sizes])

    def codes(text: str) -> list[list[float]]:
        return csv_codec.read(Request(body=text.encode()), inputs).tolist()

    assert codes("a,a\nb,kind\n") == [[0, 0], [1, 1]]
    assert codes("size,kind\na,b\n") == [[1, 0]]
    for text in ("kind,x\na,a\n", "type,x\na,a\n"):
        with pytest.raises(InvalidInput, match="line 1: missing feature"):
            codes(text)


@pytest.mark.parametrize(
    "cell", ['""', '"1,2"', '"1],[2"', "1 2", '"\n"', "[1]", "1;2", "0x10", "1_0", "nan"]
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_cell_is_one_number_or_refused(cell: str, rows: int) -> None:
    text = "b,id,a\n" + f"{cell},x,1\n" * rows
    with pytest.raises(InvalidInput, match="line 2, b: "):
        read(text.encode(), ["a", "b"])


def test_brackets_cannot_smuggle_in_rows() -> None:
    with pytest.raises(InvalidInput, match="line 1"):
        read(b"1],[2\n", ["a"])
    with pytest.raises(InvalidInput, match="line 2"):
        read(b"1\n1],[2\n", ["a"])


@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_invalid_input(body: bytes) -> None:
    try:
        X = read(body, ["a", "b"])
    except InvalidInput:
        return
    assert X.shape[1] == 2
    assert np.isfinite(X).all()


@pytest.mark.parametrize("piece", PIECES)
@given(
    lines=st.lists(
        st.sampled_from(
            ["1", "1,2", "3,-4.5", '"1",2', "", " ", "1e999,2", "a,b", "b,a", "NaN,1", "5,6", "7,8"]
        ),
        max_size=12,
    ),
    end=st.sampled_from(["\n", "\r\n", "\r", "\n\r"]),
)
def test_answers_the_same_whatever_the_size_of_a_piece(piece: int, lines: list[str], end: str) -> None:
    body = end.join(lines).encode()
    expected = outcome(body, ["a", "b"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_codec, "PIECE", piece)
        found = outcome(body, ["a", "b"])
    assert found == expected or "longer than" in str(found)


def test_reads_a_blank_line_far_behind_and_names_the_lines_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_codec, "PIECE", 2**12)
    text = "1,2\n" * 3_000
    assert len(read(f"{text}\n{text}".encode(), ["a", "b"])) == 6_000
    for line in ("1,x", '"1",x', "1"):
        with pytest.raises(InvalidInput, match=r"line 6003.*: expected"):
            read(f"a,b\n{text}\n{text}{line}\n".encode(), ["a", "b"])


def test_reads_names_with_commas_quotes_and_line_ends() -> None:
    body = b'"b\n""",a\r\n2,1\n'
    assert read(body, ["a", 'b\n"']).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body holds no line of numbers"),
        (b"a,b\n", "the body holds no line of numbers"),
        (b"a,x\n1,2\n", 'line 1: missing feature "b"; unknown feature "x"'),
        (b"a,b,a\n1,2,3\n", 'line 1: repeated feature "a"'),
        (b"a,b\n1,2\n3\n", "line 3: expected 2 fields, got 1 field"),
        (b"1\r,2\n", "line 1: expected 2 fields, got 1 field"),
        (b"a,b\n1,2\n1,1_0", 'line 3, b: expected a number, got "1_0"'),
        (b"1,2\n\n1,nan", f"line 3, b: {MISSING}"),
        (b"1,2\n1,x", 'line 2, b: expected a number, got "x"'),
        (b"1,2\n1", "line 2: expected 2 fields, got 1 field"),
        (b"a\n1", 'line 1: missing feature "b"'),
        (b"1,2\n3,\xff\n", "the body is not UTF-8: byte 6 is 0xff"),
        (b'1,2\n"3,4\n', "line 2: unexpected end of data"),
        (b"1,2\n" + b"1," * 2**20, "line 2: longer than 1048576 bytes"),
        (b'1,"\n",' * 2**18, "line 1: longer than 1048576 bytes"),
        (b"x," * 2000, f"line 1: expected 2 fields, got 2001 fields; {HINT}"),
    ],
)
def test_says_which_line_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(body, ["a", "b"])
    assert str(raised.value) == message


def test_reads_little_field_by_field_on_the_event_loop() -> None:
    body = b"1\n" * 2**14 + b"\n1\n"
    with pytest.raises(TooCostly):
        read(body, ["a"], inline=True)
    assert len(read(body, ["a"])) == 2**14 + 1
    with pytest.raises(DeadlineExceeded):
        read(body, ["a"], abandoned=True)


@given(values=hnp.arrays(np.float64, st.integers(1, 30), elements=finite))
def test_writes_one_prediction_per_line(values: np.ndarray[Any, Any]) -> None:
    lines = csv_codec.write(values).decode().split("\r\n")
    assert lines[0] == "prediction"
    assert lines[-1] == ""
    assert [float(line) for line in lines[1:-1]] == values.tolist()


@pytest.mark.parametrize(
    "text", ["a,b,c\n1,2,3\n", "a,b\n1,2\n3,4\n", "b,a,id\n1,2,x\n", "1,2\n3,4\n", "a,b\r\n1,2\r\n"]
)
def test_a_body_whose_line_ends_curl_has_removed_is_refused_with_a_hint(text: str) -> None:
    read(text.encode(), ["a", "b"])
    with pytest.raises(InvalidInput, match="curl keeps line ends with --data-binary"):
        read(text.replace("\r", "").replace("\n", "").encode(), ["a", "b"])


@pytest.mark.parametrize("text", ["", " ", "1,x", "a,b\n", "1\n", "1,2\r3"])
def test_other_mistakes_have_no_hint_about_line_ends(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(text.encode(), ["a", "b"])
    assert "curl" not in str(raised.value)
