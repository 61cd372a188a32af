"""The page and the reference in a real browser: they work, and axe finds no barrier."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from predictor.model import artifact, evaluation
from predictor.model.base import Distribution, Reference
from predictor.model.evaluation import Evaluation
from predictor.model.inputs import Column, Input
from predictor.model.kinds.linear import LinearModel
from predictor.model.text import SEPARATORS
from tests.support.browser import PROGRAM, Tab, browse
from tests.support.processes import wait_until
from tests.support.server import Server, start_predictor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed"),
]
AXE = importlib.util.find_spec("axe_core_python")
HALF_WIDTH = 80.0


def mixed_model() -> LinearModel:
    """A model of a count, a number, a boolean and a category."""
    inputs = (
        Input("rooms", 1, 9),
        Input("area", 30, 260, unit="m²"),
        Input("garden", 0, 1, type="boolean"),
        Input("city", 0, 2, type="category", categories=("Basel", "Bern", "O'Fallon"), missing=1.0),
    )
    columns = ([1, 3, 5, 7, 9] * 4, np.linspace(30, 260, 20), [0, 0, 0, 1] * 5, [0, 1, 2, 1, 1] * 4)
    reference = Reference(
        20,
        {
            one.name: Distribution.of_input(one, np.array(values, dtype=float))
            for one, values in zip(inputs, columns, strict=True)
        },
        Distribution.of(np.linspace(100, 2000, 20)),
    )
    weights = (22.5, 6.125, 55.0, (-40.0, 10.0, 35.0))
    return LinearModel(weights, 90.0, inputs, Column("price", 100, 2000, unit="kCHF"), reference)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("houses")
    digest = artifact.write(mixed_model(), place / "3")
    found = Evaluation.of(
        np.full(20, HALF_WIDTH),
        np.zeros(20),
        mean=200.0,
        digest=digest,
        source="houses.csv",
        created="2026-01-01",
    )
    (place / "3" / "evaluation.json").write_bytes(evaluation.encode(found))
    with start_predictor(place / "3", place=place) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browse(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def page(browser: Tab, server: Server) -> Tab:
    browser.open(f"{server.url}/")
    browser.wait("document.getElementById('typical').textContent !== ''")
    return browser


def text(page: Tab, name: str) -> str:
    return str(page.evaluate(f"document.getElementById('{name}').textContent"))


def number(shown: str) -> float:
    return float(shown.replace("−", "-").replace(",", ""))  # noqa: RUF001


def fire(page: Tab, name: str, value: str, event: str) -> None:
    """Give an element a value as a person does."""
    page.evaluate(
        f"{{ const e = document.getElementById('{name}'); e.value = '{value}';"
        f" e.dispatchEvent(new Event('{event}')) }}"
    )


def choose(page: Tab, name: str, value: str) -> None:
    """Change an input of the form, and wait for the prediction."""
    page.evaluate("document.getElementById('prediction').textContent = ''")
    fire(page, name, value, "input")
    page.wait("document.getElementById('prediction').textContent !== ''")


def test_numbers_booleans_and_categories_can_be_chosen(page: Tab) -> None:
    for name, value in (("value-0", "3"), ("value-1", "100"), ("value-2", "1"), ("value-3", "2")):
        choose(page, name, value)
    assert text(page, "prediction") == "860" == f"{3 * 22.5 + 100 * 6.125 + 55 + 35 + 90:g}"
    assert text(page, "interval").startswith("780 to 940 with a probability of 90")
    assert text(page, "body") == """{"instance":[3,100,true,"O'\\''Fallon"]}"""
    choose(page, "value-3", "")
    assert text(page, "prediction") == "835"
    assert text(page, "body").endswith("true,null]}")
    assert page.errors == []


def test_the_numbers_shown_add_up_as_shown(page: Tab) -> None:
    for area in ("31.7", "99.99", "123.456", "259"):
        choose(page, "value-1", area)
        parts = [number(text(page, "typical"))] + [number(text(page, f"amount-{i}")) for i in range(4)]
        assert sum(parts) == pytest.approx(number(text(page, "total")), abs=1e-9)
        assert text(page, "total") == text(page, "prediction")


def test_the_command_stays_one_that_works(page: Tab) -> None:
    before = text(page, "body")
    fire(page, "value-1", "", "input")
    page.wait("document.getElementById('prediction').textContent === '–'")  # noqa: RUF001
    assert text(page, "note-1") == "Enter a number."
    assert text(page, "body") == before


@pytest.mark.parametrize(
    ("axis", "shape"), [(0, "path.fit"), (1, "path.fit"), (2, "rect.level"), (3, "rect.level")]
)
def test_each_input_can_be_drawn(page: Tab, axis: int, shape: str) -> None:
    fire(page, "axis", str(axis), "change")
    count = page.evaluate(f"document.querySelectorAll('#chart {shape}').length")
    assert count == {2: 2, 3: 3}.get(axis, 1)
    assert "NaN" not in page.evaluate("document.getElementById('chart').outerHTML")


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_pasted_table_gets_predictions_and_a_file(page: Tab, separator: str) -> None:
    lines = 'city,rooms,area,garden,note\nBern,3,100,true,"a; ""b"""\n\nNA,1,30.5,0,\n'.replace(
        ",", separator
    )
    page.evaluate(f"document.getElementById('csv').value = {lines!r}")
    page.evaluate("document.getElementById('predict-table').click()")
    page.wait("!document.getElementById('download').hidden")
    rows = page.evaluate(
        "[...document.querySelectorAll('#predictions tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert rows == [
        ["city", "rooms", "area", "garden", "note", "prediction", "low", "high"],
        ["Bern", "3", "100", "true", 'a; "b"', "835", "755", "915"],
        ["NA", "1", "30.5", "0", "", "309.31", "229.31", "389.31"],
    ]
    file = page.evaluate("fetch(document.getElementById('download').href).then(answer => answer.text())")
    assert file.splitlines()[1] == 'Bern,3,100,true,"a; ""b""",835.0,755.0,915.0'
    page.evaluate("document.getElementById('csv').value = 'city\\nParis\\n'")
    page.evaluate("document.getElementById('predict-table').click()")
    page.wait("!document.getElementById('table-error').hidden")
    assert "missing" in text(page, "table-error")


def test_a_table_says_how_what_is_asked_differs_from_training(page: Tab, server: Server) -> None:
    body = "city,rooms,area,garden\n" + "Bern,3,100,true\n" * 300 + "Bern,3,9999,true\n"
    with server.http as client:
        client.post("/batch", content=body, headers={"content-type": "text/csv"}).raise_for_status()
        wait_until(lambda: _drift_of(client, "area")["rows"] > 300, what="the sample to be counted")
    page.open(f"{server.url}/")
    page.wait("!document.getElementById('drift-section').hidden")
    rows = page.evaluate(
        "[...document.querySelectorAll('#drift tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    shown = {name: cells for name, *cells in rows}
    assert list(shown) == ["rooms", "area", "garden", "city", "(prediction)"]
    assert shown["area"][0] == "fewer than 200 rows"
    assert shown["area"][3] == "1"
    assert text(page, "drift-window") == "1 h"
    assert page.errors == []


def _drift_of(client: httpx.Client, name: str) -> dict[str, Any]:
    columns = client.get("/drift").json()["columns"]
    return next((column for column in columns if column["name"] == name), {"rows": 0})


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_barrier_and_nothing_is_wider_than_the_screen(
    browser: Tab, server: Server, path: str, dark: bool, width: int
) -> None:
    if AXE is None or AXE.origin is None:
        pytest.skip("axe-core-python is not installed")
    browser.open(f"{server.url}{path}", width=width, dark=dark)
    browser.evaluate(Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found: Any = browser.evaluate(
        "axe.run().then(r => r.violations.map(v => `${v.id}: ${v.nodes.map(n => n.target).join(' ')}`))"
    )
    assert found == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.errors == []
