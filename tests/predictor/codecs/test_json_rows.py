"""Rows of JSON: every reader gives the values and the messages of a plain reading by Python's parser."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import json_bulk, json_document, json_rows, json_strict
from predictor.errors import InvalidInput, TooLarge
from predictor.messages import Request
from tests.support.models import numbers

NAMES = ("a", "b", "c", "d")

finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
)


def accept(rows: int) -> None:
    """Any number of rows may be asked for."""


def read(body: bytes, width: int) -> Any:
    return json_rows.instances(Request(body=body), numbers(*NAMES[:width]), accept)


def read_v1(body: bytes, width: int) -> Any:
    return json_rows.v1(Request(body=body), numbers(*NAMES[:width]), accept)


def reference(body: bytes, width: int) -> Any:
    value = json_strict.member(json_strict.document(body), "instances")
    return json_strict.table(value, numbers(*NAMES[:width]), "instances")


def outcome(reader: Any, *args: Any) -> Any:
    try:
        return np.asarray(reader(*args), dtype=np.float64).tolist()
    except InvalidInput as error:
        return str(error)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few bytes, and arrays that are left out when they are longer than a few bytes."""
    monkeypatch.setattr(json_bulk, "PIECE", 24)
    monkeypatch.setattr(json_document, "LONG", 8)


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=finite),
    indent=st.sampled_from([None, 1]),
    objects=st.booleans(),
)
def test_reads_rows_bit_for_bit_whatever_the_white_space(
    X: np.ndarray[Any, Any], indent: int | None, objects: bool
) -> None:
    rows = [dict(zip(reversed(NAMES[: X.shape[1]]), reversed(row), strict=True)) for row in X.tolist()]
    body = json.dumps({"instances": rows if objects else X.tolist()}, indent=indent).encode()
    np.testing.assert_array_equal(read(body, X.shape[1]), X)
    np.testing.assert_array_equal(read_v1(body, X.shape[1]), X)


@given(X=hnp.arrays(np.float64, st.integers(1, 100), elements=finite))
def test_reads_a_flat_list_as_a_single_feature(X: np.ndarray[Any, Any]) -> None:
    body = json.dumps({"instances": X.tolist()}).encode()
    np.testing.assert_array_equal(read(body, 1), X.reshape(-1, 1))


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=finite),
    columns=st.booleans(),
)
def test_v1_reads_inputs_as_rows_and_as_columns(X: np.ndarray[Any, Any], columns: bool) -> None:
    names = NAMES[: X.shape[1]]
    by_name = {name: X[:, names.index(name)].tolist() for name in reversed(names)}
    body = json.dumps({"x": [1], "inputs": by_name if columns else X.tolist()}).encode()
    np.testing.assert_array_equal(read_v1(body, X.shape[1]), X)


@pytest.mark.usefixtures("small_pieces")
@given(value=documents, width=st.integers(1, 3), padding=st.sampled_from([0, 1100]))
def test_every_reader_answers_as_the_strict_one(value: Any, width: int, padding: int) -> None:
    body = json.dumps({"instances": value}).encode() + b" " * padding
    expected = outcome(reference, body, width)
    for reader in (read, read_v1):
        found = outcome(reader, body, width)
        if isinstance(found, str):  # long numbers and strings may be written in another way
            found, expected = (str(text).partition("got the ")[0] for text in (found, expected))
        assert found == expected or "longer than 24 bytes" in found


@pytest.mark.usefixtures("small_pieces")
@given(
    rows=st.lists(
        st.lists(st.sampled_from(["1", "-2.5", "3e1", "[4]", "[]", "", " 5 ", "1e999", "null"]), max_size=3),
        max_size=40,
    ),
    width=st.integers(1, 3),
    separator=st.sampled_from([",", ", ", " ,\n"]),
)
def test_readers_agree_on_ragged_nested_and_broken_rows(
    rows: list[list[str]], width: int, separator: str
) -> None:
    inside = separator.join(f"[{separator.join(row)}]" for row in rows)
    body = b'{"instances":[%b]}' % inside.encode() + b" " * 1100
    assert outcome(read, body, width) == outcome(reference, body, width)


@given(body=st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_invalid_input(body: bytes) -> None:
    for text in (body, b'{"instances":[%b]}' % body, b'{"instances":[[1],%b]}' % (body * 3)):
        outcome(read, text, 1)
        outcome(read_v1, text, 2)
        outcome(json_rows.instance, text, numbers(*NAMES[:1]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"inputs": {"a": [1], "b": [1, 2]}}', "inputs: the features have different numbers of rows"),
        ('{"inputs": {"a": [1]}}', 'inputs: missing feature "b"'),
        ('{"inputs": {"x": [1], "y": []}}', 'inputs: missing features "a", "b"; unknown features "x", "y"'),
        ('{"inputs": {"a": 1, "b": [1]}}', "inputs.a: expected a list, got the number 1"),
        ('{"inputs": {"a": [1, null], "b": [1, 2]}}', "inputs.a[1]: expected a number, got null"),
        ('{"inputs": [[1, 2]], "instances": [[1, 2]]}', 'expected "instances" or "inputs", got both'),
        ('{"inputs": "x"}', 'inputs: expected a list, got the string "x"'),
        ('{"x": 1}', 'the key "instances" is missing'),
        ('{"instances": [{"a": 1}]}', 'instances[0]: missing feature "b"'),
        ('{"instances": [{"a": 1, "b": null}]}', "instances[0].b: expected a number, got null"),
        ('{"instances": [[1, 2], {"a": 1, "c": 3}]}', 'instances[1]: missing feature "b"; unknown feature "c"'),  # noqa: E501
    ],
)  # fmt: skip
def test_v1_says_what_is_wrong(body: str, message: str) -> None:
    for padding in (0, 1100):
        with pytest.raises(InvalidInput) as raised:
            read_v1(body.encode() + b" " * padding, 2)
        assert str(raised.value) == message


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("more", ["1", '"a, [b]"', '{"a": [1, {"b": null}]}', '"\\u00e9é"'])
def test_objects_may_have_further_members(count: int, more: str) -> None:
    row = f'{{"id": {more}, "b": 2, "a": 1}}'
    body = f'{{"instances": [{", ".join([row] * count)}]}}'.encode()
    assert read(body, 2).tolist() == [[1.0, 2.0]] * count
    columns = f'{{"inputs": {{"id": {more}, "b": [2], "a": [1]}}}}'.encode()
    assert read_v1(columns, 2).tolist() == [[1.0, 2.0]]
    one = f'{{"instance": {row}}}'.encode()
    assert list(json_rows.instance(one, numbers("a", "b"))) == [1.0, 2.0]


def test_an_object_with_very_many_further_members_is_a_row() -> None:
    more = ",".join(f'"x{i}":"y"' for i in range(3000))
    body = f'{{"instance": {{{more}, "b": 2, "a": 1}}}}'.encode()
    assert list(json_rows.instance(body, numbers("a", "b"))) == [1.0, 2.0]


@pytest.mark.parametrize("padding", [0, 1100])
def test_further_members_have_to_be_valid(padding: int) -> None:
    for wrong in (b'"\xff"', b"tru", b"[1,]"):
        with pytest.raises(InvalidInput, match="the body is not"):
            read(b'{"instances": [{"id": %b, "b": 2, "a": 1}]}%b' % (wrong, b" " * padding), 2)


def test_refuses_a_row_longer_than_a_piece() -> None:
    body = b'{"instances":[[1],[%b1]]}' % (b"1," * 2**20)
    with pytest.raises(InvalidInput, match=r"instances\[1\]: longer than 1048576 bytes"):
        read(body, 1)


def test_refuses_names_without_end_in_columns() -> None:
    names = ",".join(f'"x{i}":[1]' for i in range(5000))
    with pytest.raises(InvalidInput, match=r'inputs: missing feature "a"$'):
        read_v1(f'{{"inputs":{{{names}}}}}'.encode(), 1)


@pytest.mark.parametrize("padding", [0, 2**11, 2**21])
def test_counts_rows_before_it_reads_them(padding: int) -> None:
    asked: list[int] = []

    def check(rows: int) -> None:
        asked.append(rows)
        raise TooLarge("too many")

    body = b'{"instances":[%b]%b}' % (b",".join([b"[1,2]"] * 200), b" " * padding)
    with pytest.raises(TooLarge):
        json_rows.instances(Request(body=body), numbers(*NAMES[:2]), check)
    assert asked[0] == 200


@pytest.mark.parametrize(
    "text", ["[[1, 2], []]", "[[], [1]]", "[[1], [[2]]]", "[[[1]], [2]]", "[[1], [true]]", "[[]]"]
)
@pytest.mark.parametrize("between", [", ", ","])
@pytest.mark.parametrize("before", [0, 2000])
def test_refuses_rows_that_average_one_number_each(text: str, between: str, before: int) -> None:
    rows = "[" + f"[1]{between}" * before + text[1:].replace(", ", between)
    body = b'%b{"instances": %b}' % (b" " * 1100, rows.encode())
    with pytest.raises(InvalidInput, match="instances"):
        read(body, 1)
