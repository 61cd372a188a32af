from typing import Any

import pytest

from predictor.codecs import json_strict
from predictor.errors import InvalidInput
from tests.support.models import numbers


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[1, 2.5]", [1, 2.5]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"12345678901234567890123", 12345678901234567890123.0),
        (b'"NaN"', "NaN"),
        (b'[NaN, "x"]', ["NaN", "x"]),
    ],
)
def test_parses_documents(body: bytes, value: Any) -> None:
    assert json_strict.document(body) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b'{"a": 1,}', "the body is not JSON: trailing comma in object at byte 8"),
        (b'"\xff"', "the body is not UTF-8: byte 1 is 0xff"),
        (b"[" * 5000, "the body is nested too deeply"),
    ],
)
def test_refuses_what_is_not_json(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        json_strict.document(body)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[1]", 'expected an object {"a": ...}, got a list of 1'),
        (b"{}", 'the key "a" is missing'),
        (b'{"b": 1}', 'unknown key "b"; use "a"'),
        (b'{"a": 1, "b": 1}', 'unknown key "b"; use "a"'),
    ],
)
def test_refuses_objects_of_other_members(body: bytes, message: str) -> None:
    assert json_strict.member({"a": 1}, "a") == 1
    with pytest.raises(InvalidInput) as raised:
        json_strict.member(json_strict.document(body), "a")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "x: expected a number, got null"),
        ("true", "x: expected a number, got true"),
        ('"1"', 'x: expected a number, got the string "1"'),
        ("[1, 2]", "x: expected 1 feature, got 2"),
        ('["1"]', 'x[0]: expected a number, got the string "1"'),
        ("[[1]]", "x[0]: expected a number, got a list of 1"),
        ("[{}]", "x[0]: expected a number, got an object"),
        ('{"a": false}', "x.a: expected a number, got false"),
        ('{"b": 1}', 'x: missing feature "a"; unknown feature "b"'),
        ("NaN", "x: NaN is not a number that a double can hold"),
        ("[-Infinity]", "x[0]: -Infinity is not a number that a double can hold"),
        ("9" * 400, f"x: {'9' * 40} is not a number that a double can hold"),
    ],
)
def test_says_what_is_wrong_with_a_row(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        json_strict.row(json_strict.document(text.encode()), numbers("a"), "x")
    assert str(raised.value) == message


def test_reads_rows_in_every_form() -> None:
    assert json_strict.row([1, 2.5], numbers("a", "b"), "x") == [1, 2.5]
    assert json_strict.row({"b": 2.5, "a": 1}, numbers("a", "b"), "x") == [1, 2.5]
    assert json_strict.row(1, numbers("a"), "x") == [1]
    assert json_strict.table([[1], 2, {"a": 3}], numbers("a"), "x") == [[1], [2], [3]]
    with pytest.raises(InvalidInput, match="x: expected a list of 2 numbers, got the number 1"):
        json_strict.row(1, numbers("a", "b"), "x")
    with pytest.raises(InvalidInput, match="x: expected at least one instance, got an empty list"):
        json_strict.table([], numbers("a"), "x")
    with pytest.raises(InvalidInput, match=r"x\[1\]: expected a number, got null"):
        json_strict.table([1, None], numbers("a"), "x")
