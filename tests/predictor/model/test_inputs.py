"""The inputs of a model, and how their values become numbers."""

import math
from typing import Any

import pytest

from predictor.errors import InvalidInput
from predictor.model.inputs import UNKNOWN, Input, of_document

AGE = Input("age", 18, 90, unit="years")
MEMBER = Input("member", 0, 1, type="boolean", missing=1.0)
CITY = Input("city", 0, 2, type="category", categories=("Bern", "Genf", "3"))
OPEN_CITY = Input(
    "city", 0, 1, type="category", categories=("Bern", "Genf"), missing=0.0, accepts_unknown=True
)


@pytest.mark.parametrize(
    ("model_input", "value", "number"),
    [
        (AGE, 20, 20.0),
        (AGE, 20.5, 20.5),
        (MEMBER, True, 1.0),
        (MEMBER, 0, 0.0),
        (MEMBER, None, 1.0),
        (CITY, "Genf", 1.0),
        (CITY, 3, 2.0),
        (OPEN_CITY, "Basel", UNKNOWN),
        (OPEN_CITY, None, 0.0),
        (OPEN_CITY, math.nan, 0.0),
    ],
)
def test_json_values_become_numbers(model_input: Input, value: object, number: float) -> None:
    assert model_input.number(value, "instances[0]") == number


@pytest.mark.parametrize(
    ("model_input", "value", "message"),
    [
        (AGE, None, "the value is missing"),
        (AGE, math.nan, "the value is missing"),
        (AGE, True, "expected a number, got true"),
        (AGE, "20", 'expected a number, got the string "20"'),
        (AGE, math.inf, "inf is not a finite number"),
        (AGE, 10**400, "is not a finite number"),
        (AGE, [1], "expected a number, got a list of 1"),
        (MEMBER, 2, "expected true or false, got the number 2"),
        (MEMBER, "true", 'expected true or false, got the string "true"'),
        (CITY, "Basel", 'unknown category "Basel"; the model knows "Bern", "Genf", "3"'),
        (CITY, 1.5, "expected a string, got the number 1.5"),
        (CITY, True, "expected a string, got true"),
        (CITY, {}, "expected a string, got an object"),
    ],
)
def test_json_values_that_do_not_fit_are_refused_with_their_place(
    model_input: Input, value: object, message: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        model_input.number(value, "instances[0].x")
    assert str(raised.value).startswith("instances[0].x: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("model_input", "text", "number"),
    [
        (AGE, " 20 ", 20.0),
        (AGE, "1e3", 1000.0),
        (MEMBER, "True", 1.0),
        (MEMBER, "false", 0.0),
        (MEMBER, "1", 1.0),
        (MEMBER, "", 1.0),
        (CITY, "Bern", 0.0),
        (OPEN_CITY, "Basel", UNKNOWN),
        (OPEN_CITY, " ", 0.0),
    ],
)
def test_cells_of_text_become_numbers(model_input: Input, text: str, number: float) -> None:
    assert model_input.parse(text, "line 2") == number


@pytest.mark.parametrize(
    ("model_input", "text"),
    [(AGE, ""), (AGE, "1_000"), (AGE, "nan"), (AGE, "inf"), (AGE, "old"), (MEMBER, "yes"), (CITY, "Basel")],
)
def test_cells_of_text_that_do_not_fit_are_refused(model_input: Input, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^line 2: "):
        model_input.parse(text, "line 2")


@pytest.mark.parametrize(
    ("model_input", "number", "value"),
    [(AGE, 20.5, 20.5), (MEMBER, 1.0, True), (CITY, 1.0, "Genf"), (OPEN_CITY, UNKNOWN, None)],
)
def test_a_number_is_shown_as_clients_send_it(model_input: Input, number: float, value: object) -> None:
    assert model_input.value(number) == value


def test_only_numbers_that_may_not_be_missing_are_plain() -> None:
    assert [one.plain for one in (AGE, MEMBER, CITY, Input("x", 0, 1, missing=0.5))] == [
        True,
        False,
        False,
        False,
    ]


DOCUMENT: dict[str, Any] = {"name": "city", "unit": None, "minimum": 0, "maximum": 1}


def test_a_document_without_a_type_is_a_number() -> None:
    assert of_document({**DOCUMENT, "unit": "m"}) == Input("city", 0.0, 1.0, unit="m")


def test_a_document_keeps_categories_and_what_stands_for_missing_values() -> None:
    document = {
        **DOCUMENT,
        "type": "category",
        "categories": ["Bern", "Genf"],
        "missing": 0,
        "accepts_unknown": True,
    }
    assert of_document(document) == OPEN_CITY


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"unit": 1},
        {"type": "date"},
        {"type": "category"},
        {"categories": ["a"]},
        {"type": "category", "categories": ["a", "a"]},
        {"type": "category", "categories": ["a", 1]},
        {"type": "category", "categories": ["\ud800"]},
        {"type": "category", "categories": ["a"], "missing": 1},
        {"type": "boolean", "missing": 0.5},
        {"minimum": math.nan},
        {"maximum": True},
        {"missing": "0"},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_document({**DOCUMENT, **change})
