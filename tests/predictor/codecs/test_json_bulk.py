from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from predictor.codecs import json_bulk, json_strict
from predictor.codecs.cost import TooCostly
from predictor.codecs.json_document import Array
from predictor.codecs.json_strict import Where
from predictor.errors import DeadlineExceeded, InvalidInput
from predictor.messages import Request
from tests.support.models import numbers


class Pairs:
    """Elements that are lists of two numbers."""

    end = b"]"
    width = 2
    counted = True

    def __init__(self) -> None:
        self.strictly = 0

    def plain(self, piece: bytes) -> np.ndarray[Any, Any] | None:
        return json_bulk.rows(piece, 2)

    def strict(self, element: Any, where: Where) -> Sequence[float]:
        self.strictly += 1
        return json_strict.row(element, numbers("a", "b"), where)


class Numbers(Pairs):
    """Elements that are numbers."""

    end = b""
    width = 1

    def plain(self, piece: bytes) -> np.ndarray[Any, Any] | None:
        return json_bulk.numbers(piece)

    def strict(self, element: Any, where: Where) -> Sequence[float]:
        self.strictly += 1
        return json_strict.row(element, numbers("a"), where)


def read(text: str, elements: Pairs, *, request: Request | None = None, checked: bool = True) -> list[float]:
    array = Array(text.encode(), 1, len(text.encode()) - 1, checked)
    return json_bulk.read(array, elements, request or Request(), "x", lambda most: None).tolist()


@pytest.mark.parametrize("size", [1, 7, 20, 2**20])
@pytest.mark.parametrize("between", [",", ", ", "  ,  "])
def test_reads_the_same_whatever_the_size_of_a_piece(
    monkeypatch: pytest.MonkeyPatch, size: int, between: str
) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    if size >= 7:
        pairs = between.join(f"[{i},{i}]" for i in range(9))
        assert read(f"[{pairs}]", Pairs()) == [i for i in range(9) for _ in range(2)]
    assert read(f"[{between.join(map(str, range(9)))}]", Numbers()) == list(range(9))


def test_asks_the_strict_reader_only_for_the_pieces_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", 50)
    elements = Numbers()
    numbers = ["1"] * 100 + ["20000000000000000000"] + ["3"] * 100
    assert read(f"[{','.join(numbers)}]", elements) == [float(number) for number in numbers]
    assert 1 <= elements.strictly <= 60


@pytest.mark.parametrize("size", [24, 2**20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1,2],[3,4],[5],[6,7]]", r"x\[2\]: expected 2 features, got 1"),
        ("[[1,2],[3,4],[[5,6]]]", r"x\[2\]: expected 2 features, got 1"),
        ('[[1,2],["],["],[3]]', r"x\[1\]: expected 2 features, got 1"),
        ('[[1,2],{"a":1,"b":"é"}]', r"x\[1\]\.b: expected a number, got the string"),
        ("[[1,2],[3,1e999]]", r"x\[1\]\[1\]: 1e999 is not a number that a double can hold"),
    ],
)
def test_error_names_the_element_whatever_the_size_of_a_piece(
    monkeypatch: pytest.MonkeyPatch, size: int, text: str, message: str
) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    with pytest.raises(InvalidInput, match=message):
        read(text, Pairs())


@pytest.mark.parametrize("position", [0, 3])
@pytest.mark.parametrize("element", ["[1, 2              ]", '["              ", 1]', "12345678901234567890"])
def test_refuses_an_element_longer_than_a_piece(
    monkeypatch: pytest.MonkeyPatch, position: int, element: str
) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", 10)
    items = ["[1,2]"] * 6
    items.insert(position, element)
    with pytest.raises(InvalidInput, match=rf"x\[{position}\]: longer than 10 bytes"):
        read(f"[{','.join(items)}]", Pairs())


def test_leaves_what_is_not_known_to_be_json_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", 10)
    for text in ("[1,2,3,4,5,6,7,8,]", "[1,,2]", "[1,2 3]", "[1,x]", "[1,2],[3]]"):
        with pytest.raises(InvalidInput, match="x: not plain"):
            read(text, Numbers(), checked=False)


def test_ends_work_that_nobody_waits_for() -> None:
    request = Request()
    request.abandoned = True
    with pytest.raises(DeadlineExceeded):
        read(f"[{'1,' * 2**20}1]", Numbers(), request=request)


def test_does_not_read_much_strictly_on_the_event_loop() -> None:
    text = f"[{'1,' * 2**14}null]"
    with pytest.raises(TooCostly):
        read(text, Numbers(), request=Request(inline=True))
    with pytest.raises(InvalidInput, match="expected a number, got null"):
        read(text, Numbers())


@pytest.mark.parametrize("size", [3, 2**20])
def test_counts_a_character_across_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_bulk, "PIECE", size)
    assert json_bulk.count(b"[1,2, 3,,]", b",") == 4
    assert json_bulk.count(b"[1,2, 3,,]", b",", 3, 6) == 1
    assert json_bulk.count(bytearray(b"1"), b",") == 0
