import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import json_bulk, json_strict
from predictor.errors import InvalidInput

finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def reference(body: bytes, width: int) -> list[list[float]]:
    """Read a body with the exact reader; the fast ones must agree in values and errors."""
    return json_strict.table(json_strict.member(json_strict.document(body), "instances"), width, "instances")


def outcome(read: Any, *args: Any) -> Any:
    try:
        return np.asarray(read(*args), dtype=np.float64).tolist()
    except InvalidInput as error:
        return str(error)


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=finite),
    indent=st.sampled_from([None, 1]),
)
def test_reads_rows_bit_for_bit_whatever_the_whitespace(X: np.ndarray[Any, Any], indent: int | None) -> None:
    body = json.dumps({"instances": X.tolist()}, indent=indent).encode()
    np.testing.assert_array_equal(json_bulk.instances(body, X.shape[1]), X)


@given(X=hnp.arrays(np.float64, st.integers(1, 100), elements=finite))
def test_reads_a_flat_list_as_a_single_feature(X: np.ndarray[Any, Any]) -> None:
    body = json.dumps({"instances": X.tolist()}).encode()
    np.testing.assert_array_equal(json_bulk.instances(body, 1), X.reshape(-1, 1))


@given(value=documents, width=st.integers(1, 3), padding=st.sampled_from([0, 300]))
def test_fast_readers_agree_with_the_exact_one(value: Any, width: int, padding: int) -> None:
    body = json.dumps({"instances": value}).encode() + b" " * padding
    assert outcome(json_bulk.instances, body, width) == outcome(reference, body, width)
    few = json_bulk.few(body, width)
    assert few is None or outcome(lambda: few) == outcome(reference, body, width)


@given(
    rows=st.lists(
        st.lists(st.sampled_from(["1", "-2.5", "3e1", "[4]", "[]", "", " 5 "]), max_size=3), max_size=40
    ),
    width=st.integers(1, 3),
)
def test_readers_agree_on_ragged_nested_and_broken_rows(rows: list[list[str]], width: int) -> None:
    inside = ",".join(f"[{','.join(row)}]" for row in rows)
    body = b'{"instances":[%b]}' % inside.encode() + b" " * 300
    fast, exact = outcome(json_bulk.instances, body, width), outcome(reference, body, width)
    assert isinstance(fast, str) == isinstance(exact, str)
    assert isinstance(fast, str) or fast == exact


@given(body=st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_invalid_input(body: bytes) -> None:
    for text in (body, b'{"instances":[%b]}' % body, b'{"instances":[[1],%b]}' % (body * 3)):
        outcome(json_bulk.instances, text, 1)
        outcome(json_bulk.instance, text, 1)


@pytest.mark.parametrize("size", [1, 5])
def test_splits_long_arrays_at_row_ends(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    nested = b"[1,2],[3,4],[5,6],[7,8]"
    assert json_bulk.rows(nested, 0, len(nested), 2, "x").tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    flat = b"1,2,3,4,5,6,7"
    assert json_bulk.rows(flat, 0, len(flat), 1, "x").ravel().tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("size", [1, 4, 2**20])
@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (b"[1],[2],[3,4],[5]", r"x\[2\]: expected 1 feature, got 2"),
        (b"[1],[2],[3],", "not JSON"),
        (b"[1],[2],,[3]", "not JSON"),
        (b"1,2,3,,4", "not JSON"),
        (b"1,2,3,null", r"x\[3\]: expected a number, got null"),
    ],
)
def test_error_names_the_row_whatever_the_piece_size(
    monkeypatch: pytest.MonkeyPatch, size: int, inside: bytes, message: str
) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    with pytest.raises(InvalidInput, match=message):
        json_bulk.rows(inside, 0, len(inside), 1, "x")


def test_refuses_a_row_over_the_length_limit() -> None:
    body = b'{"instances":[[%b1]]}' % (b"1," * 2**21)
    with pytest.raises(InvalidInput, match="a row of more than 1048576 bytes"):
        json_bulk.instances(body, 1)


def test_long_body_may_hold_only_instances() -> None:
    body = b'{"instances":[1],"x":"%b"}' % (b"x" * 2**21)
    with pytest.raises(InvalidInput, match="a body of more than 1048576 bytes must be"):
        json_bulk.instances(body, 1, others=True)


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_written_predictions_round_trip_from_array_and_list(
    values: np.ndarray[Any, Any],
) -> None:
    text = json_bulk.predictions(values)
    assert text == json_bulk.predictions(values.tolist())
    np.testing.assert_array_equal(json.loads(text)["predictions"], values)


def test_writes_a_long_array_in_parts() -> None:
    values = np.arange(300_001, dtype=np.float64) / 7
    np.testing.assert_array_equal(json.loads(json_bulk.array(values)), values)


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'{"a":{"b":1,"b":2}}', b'[{"a":"x","a":"y"}]'])
def test_refuses_duplicate_keys_at_any_depth(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="stands twice in one object"):
        json_bulk.document(body)


def test_refuses_duplicate_keys_around_few_instances() -> None:
    with pytest.raises(InvalidInput, match="stands twice in one object"):
        json_codec.instance(b'{"instance":1,"instance":2}', 1)
    with pytest.raises(InvalidInput, match="stands twice in one object"):
        json_codec.instances(b'{"instances":[1],"instances":[2]}', 1)
    assert json_codec.few(b'{"instances":[1],"instances":[2]}', 1) is None
    assert json_codec.few(b'{"instances":[1]}', 1) == [(1,)]


@given(value=documents)
def test_document_agrees_with_the_exact_reader(value: Any) -> None:
    body = json.dumps(value).encode()
    fast = json_bulk.document(body)
    exact = json_strict.document(body)
    assert repr(fast) == repr(exact) or fast == exact or "Unrepresentable" in repr(exact)


@pytest.mark.parametrize("size", [3, 2**20])
def test_counts_commas_across_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    assert json_bulk.commas(b"[1,2, 3,,]") == 4
    assert json_bulk.commas(bytearray(b"1")) == 0


@pytest.mark.parametrize(
    "text", ["[[1, 2], []]", "[[], [1]]", "[[1], [[2]]]", "[[[1]], [2]]", "[[1], [true]]", "[[]]"]
)
@pytest.mark.parametrize("between", [", ", ","])
def test_refuses_rows_that_average_one_number_each(text: str, between: str) -> None:
    body = b'%b{"instances": %b}' % (b" " * json_bulk.SMALL, text.replace(", ", between).encode())
    with pytest.raises(InvalidInput, match="instances"):
        json_bulk.instances(body, 1)
