"""Synthetic rows that cover a model's inputs, and its answers to them."""

import numpy as np
import pytest

from components.data.probes import MOST_CHARACTERS, MOST_ROWS, Probes, record
from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Column, Input
from tests.support.models import linear_model

CITIES = ("Bern", "Köln", "Wien")


def model(*weights: float, **changes: tuple[Input, ...]) -> Model:
    return linear_model(weights, 1.0, **changes)  # type: ignore[arg-type]


def test_rows_cover_each_inputs_range_and_are_short() -> None:
    probes = record(model(2.0, 3.0, -1.0), deviation=5.0)
    assert probes is not None
    assert len(probes.rows) == MOST_ROWS
    for column in np.array(probes.rows).T:
        assert (column.min(), column.max()) == (-0.1, 0.2)
        assert len(np.unique(column)) > MOST_ROWS / 3
    assert len({row[:2] for row in probes.rows}) > MOST_ROWS / 2
    assert max(len(str(value)) for row in probes.rows for value in row) <= 10


def test_rows_cover_every_category_and_both_booleans() -> None:
    inputs = (
        Input("age", 20.0, 90.0),
        Input("member", 0.0, 1.0, type="boolean"),
        Input("city", 0.0, 2.0, type="category", categories=CITIES),
    )
    typed = linear_model((1.0, 2.0, (3.0, 4.0, 5.0)), features=inputs)
    probes = record(typed, deviation=5.0)
    assert probes is not None
    _, members, cities = zip(*probes.rows, strict=True)
    assert set(members) == {True, False}
    assert set(cities) == set(CITIES)


def test_answers_are_those_of_the_model_and_find_one_that_is_slightly_different() -> None:
    sound = model(2.0, 3.0)
    probes = record(sound, deviation=5.0)
    assert probes is not None
    X = np.array(probes.rows)
    assert all(map(probes.agrees, range(len(X)), sound.rows(X).tolist()))
    other = model(2.0, 3.03).rows(X)
    assert sum(not probes.agrees(row, value) for row, value in enumerate(other)) > len(X) * 0.9
    mean = float(np.mean(probes.answers))
    assert not any(probes.agrees(row, mean) for row in range(len(X)))
    assert not probes.agrees(0, None)


def test_probes_survive_a_round_trip_within_a_tag() -> None:
    inputs = tuple(Input(f"x{number}", 1 / 3, 2 / 3) for number in range(2000))
    spread = Distribution.of(np.array([1 / 3, 2 / 3]))
    reference = Reference(2, dict.fromkeys((one.name for one in inputs), spread), spread)
    wide = linear_model([1.0] * 2000, features=inputs, target=Column("y", 0.0, 1.0), reference=reference)
    probes = record(wide, deviation=5.0)
    assert probes is not None
    assert 1 < len(probes.rows) < MOST_ROWS
    assert len(probes.to_json()) < MOST_CHARACTERS
    assert Probes.from_json(probes.to_json()) == probes


def test_leaves_out_rows_without_a_finite_answer() -> None:
    assert record(model(1e308 * 1.7, 1e308 * 1.7, features=WIDE), deviation=5.0) is None


WIDE = (Input("a", 1e10, 2e10), Input("b", 1e10, 2e10))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"rows":[[1]],"answers":[],"deviation":1,"tolerance":1}', '{"rows":1}']
)
def test_refuses_what_is_no_probes(text: str) -> None:
    with pytest.raises(ValueError, match=r"probes|Expecting"):
        Probes.from_json(text)
