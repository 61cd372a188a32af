"""Training and serving read the same CSV."""

import csv as python_csv
import io
from pathlib import Path

import numpy as np
import pytest

from components.data.settings import Settings
from components.data.sources.csv_file import read as read_for_training
from components.data.sources.values import Values
from predictor.codecs import csv
from predictor.codecs.cost import TooCostly
from predictor.errors import InvalidInput
from predictor.messages import Request
from predictor.model.inputs import Input, Inputs
from predictor.model.text import MISSING, SEPARATORS

NAMES = ("rooms", "garden", "city")
CITIES = ("Bern", "Genf, Nord", "O'Fallon; MO", "Zürich")
INPUTS = Inputs(
    [
        Input("rooms", 1, 9, missing=-1.0),
        Input("garden", 0, 1, type="boolean", missing=1.0),
        Input("city", 0, 3, type="category", categories=CITIES, missing=0.0),
    ]
)


def trained_on(path: Path) -> np.ndarray:
    """Return the rows as training reads them, missing values replaced as the inputs say."""
    table = read_for_training(path.name, path, Settings(features=NAMES, target="price")).table
    columns = []
    for one in INPUTS:
        found = Values.of(one.name, table[one.name], one.type)
        assert not found.rejected.size, (one.name, found.samples)
        columns.append(one.filled(found.as_type(found.type, one.categories).numbers))
    return np.stack(columns, axis=1)


def served(text: str) -> np.ndarray:
    return csv.read(Request(body=text.encode()), INPUTS)


def table(separator: str, missing: str, cities: tuple[str, ...] = CITIES) -> str:
    rows = [
        [i, round(1 + i / 8, 3), ("true", "False", "1")[i % 3], cities[i % len(cities)], 100 + i]
        for i in range(12)
    ]
    for place in (1, 2, 3):
        rows[2 * place][place] = missing
    out = io.StringIO()
    writer = python_csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerows([["id", "rooms", "garden", "city", "price"], *rows])
    return out.getvalue()


@pytest.mark.parametrize("missing", sorted(MISSING))
def test_a_missing_value_is_written_alike_for_training_and_serving(missing: str, tmp_path: Path) -> None:
    path = tmp_path / "flats.csv"
    text = table(",", missing)
    path.write_text(text)
    expected = trained_on(path)
    assert [expected[1, 0], expected[3, 1], expected[5, 2]] != [-1, 1, 0]
    assert (expected[2, 0], expected[4, 1], expected[6, 2]) == (-1, 1, 0)
    np.testing.assert_array_equal(served(text), expected)


def test_a_category_of_the_model_is_no_missing_value() -> None:
    one = Inputs([Input("grade", 0, 1, type="category", categories=("NA", "x"), missing=1.0)])
    body = b'grade\nNA\n""\nn/a\nx\n NA \n n/a\n'
    assert csv.read(Request(body=body), one).tolist() == [[0], [1], [1], [1], [0], [1]]


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("cities", [CITIES, ("Bern", "Zürich")], ids=["quoted", "plain"])
@pytest.mark.parametrize("missing", ["", "NA"])
@pytest.mark.parametrize("piece", [64, 2**20])
def test_fields_are_separated_alike_for_training_and_serving(
    separator: str,
    cities: tuple[str, ...],
    missing: str,
    piece: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv, "PIECE", piece)
    path = tmp_path / "flats.csv"
    text = table(separator, missing, cities)
    path.write_text(text)
    np.testing.assert_array_equal(served(text), trained_on(path))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_lines_without_a_header_may_have_any_separator(separator: str) -> None:
    lines = ["1,true,Bern", "2,0,Zürich", ",,Bern"]
    expected = [[1, 1, 0], [2, 0, 3], [-1, 1, 0]]
    assert served("\n".join(lines).replace(",", separator)).tolist() == expected
    numbers = Inputs([Input("a", 0, 1), Input("b", 0, 1)])
    body = f"1{separator}2.5\n3{separator}4\n".encode()
    assert csv.read(Request(body=body), numbers).tolist() == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1,5;2\n", 'line 2, a: expected a number, got "1,5"'),
        ("a\tc\n1\t2\n", 'line 1: missing feature "b"; unknown feature "c"'),
        ("x;y;z\n1;2;3\n", 'line 1: missing features "a", "b"; unknown features "x", "y", "z"'),
        (
            'a;b\n"1";2\n3;\n',
            "line 3, b: the value is missing, and the model was trained without missing values",
        ),
        (
            'a\tb\n1\t"2"\n3\t',
            "line 3, b: the value is missing, and the model was trained without missing values",
        ),
        (
            "a\tb\n1\t2\n3\t\n",
            "line 3, b: the value is missing, and the model was trained without missing values",
        ),
        ("a;b\n1;2\n3\n", "line 3: expected 2 fields, got 1 field"),
    ],
)
def test_says_what_is_wrong_whatever_the_separator(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        csv.read(Request(body=text.encode()), Inputs([Input("a", 0, 1), Input("b", 0, 1)]))
    assert str(raised.value) == message


def test_other_separators_within_a_line_are_text() -> None:
    assert served("1,1,O'Fallon; MO\n").tolist() == [[1, 1, 2]]
    assert served("note,x,y,z;rooms;garden;city\nab;1;1;Bern\n").tolist() == [[1, 1, 0]]
    assert served("note;x,rooms,city,garden\nab,1,O'Fallon; MO,1\n").tolist() == [[1, 1, 2]]


def test_another_separator_than_commas_in_a_long_text_is_left_to_a_thread_if_text_is_quoted() -> None:
    body = ("rooms;garden;city\n" + '1;1;"Bern"\n' * 20_000).encode()
    with pytest.raises(TooCostly):
        csv.read(Request(body=body, inline=True), INPUTS)
    assert len(csv.read(Request(body=body), INPUTS)) == 20_000
