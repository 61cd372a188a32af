"""The trees: what they compute, and which folders are refused."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.errors import InvalidInput
from predictor.model.inputs import UNKNOWN, Input
from predictor.model.kinds import trees
from predictor.model.kinds.trees import MAX_DEPTH, MAX_TREES, TreeModel
from tests.support.models import TARGET, even_reference

AGE = Input("age", 0.0, 90.0, unit="years")
CITY = Input("city", 0, 2, type="category", categories=("Bern", "Genf", "Chur"), accepts_unknown=True)
MEMBER = Input("member", 0, 1, type="boolean")
INPUTS = (AGE, CITY, MEMBER)
WIDTH = 5
"""Columns: age, the three cities, member."""

# A first tree that asks for the age and then for Genf, a second that is a leaf.
PARAMETERS: dict[str, Any] = {
    "baseline": 100.0,
    "sizes": [5, 1],
    "columns": [0, -1, 2, -1, -1, -1],
    "left": [1, 0, 3, 0, 0, 0],
    "values": [20.0, 1.0, 0.5, 2.0, 3.0, 0.25],
}


def make(parameters: dict[str, Any], inputs: tuple[Input, ...] = INPUTS) -> TreeModel:
    return TreeModel.of(parameters, inputs, TARGET, even_reference(inputs, TARGET))


@st.composite
def forests(draw: Any) -> dict[str, Any]:
    """Draw trees that grow by splitting a random leaf; a later tree may be deeper than an earlier one."""
    found: dict[str, Any] = {name: [] for name in ("sizes", "columns", "left", "values")}
    found["baseline"] = draw(st.floats(-1e3, 1e3))
    for _ in range(draw(st.integers(1, 4))):
        columns, left = [-1], [0]
        for _ in range(draw(st.integers(0, 6))):
            leaf = draw(st.sampled_from([i for i, column in enumerate(columns) if column < 0]))
            columns[leaf], left[leaf] = draw(st.integers(0, WIDTH - 1)), len(columns)
            columns += [-1, -1]
            left += [0, 0]
        found["sizes"].append(len(columns))
        found["columns"] += columns
        found["left"] += left
        found["values"] += [draw(st.floats(-100, 100)) for _ in columns]
    return found


def walk(parameters: dict[str, Any], row: list[float]) -> float:
    """Predict a row the plain way."""
    age, city, member = row
    columns = [age, *(float(city == i) for i in range(3)), member]
    total, first = parameters["baseline"], 0
    for size in parameters["sizes"]:
        node = first
        while (column := parameters["columns"][node]) >= 0:
            node = first + parameters["left"][node] + (columns[column] > parameters["values"][node])
        total += parameters["values"][node]
        first += size
    return total


rows = st.tuples(st.floats(-100, 100), st.sampled_from([UNKNOWN, 0.0, 1.0, 2.0]), st.sampled_from([0.0, 1.0]))


@given(
    parameters=forests(), rows=st.lists(rows, min_size=1, max_size=20), at_once=st.sampled_from([1, 7, 8192])
)
def test_a_row_follows_each_tree_to_a_leaf_alone_and_in_a_batch(
    parameters: dict[str, Any], rows: list[tuple[float, ...]], at_once: int
) -> None:
    model, X = make(parameters), np.array(rows)
    expected = [walk(parameters, list(row)) for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "_AT_ONCE", at_once)
        assert model.rows(X).tolist() == expected
        assert model.rows(np.asfortranarray(X)).tolist() == expected
    assert [model.row(row) for row in X.tolist()] == expected
    assert model.few(X.tolist()) == expected
    assert make(json.loads(json.dumps(model.parameters()))) == model


def test_a_value_at_the_threshold_goes_left() -> None:
    above = math.nextafter(20.0, 30.0)
    assert make(PARAMETERS).rows(np.array([[20.0, 1, 0], [above, 1, 0], [above, UNKNOWN, 0]])).tolist() == [
        101.25,
        103.25,
        102.25,
    ]


@pytest.mark.parametrize("rows", [1, 2])
def test_refuses_a_value_that_is_not_finite_although_a_tree_could_compare_it(rows: int) -> None:
    X = np.zeros((rows, 3))
    X[-1, 0] = math.inf
    with pytest.raises(InvalidInput, match=rf"instances\[{rows - 1}\]: inf for age is not a finite number"):
        make(PARAMETERS).rows(X)
    assert math.isnan(make(PARAMETERS).row(X[-1].tolist()))


def test_a_prediction_that_overflows_names_its_row() -> None:
    model = make({**PARAMETERS, "baseline": 1.7e308, "values": [20.0, 1.0, 0.5, 2.0, 1e308, 0.25]})
    with pytest.raises(InvalidInput, match=r"instances\[1\]: the prediction is beyond the range of a double"):
        model.rows(np.array([[0.0, 1, 0], [30.0, 1, 0]]))


def test_describes_itself_in_words() -> None:
    model = make(PARAMETERS)
    assert model.summary() == "2 regression trees of depth 2 at most, for target."
    (table,) = model.details()
    assert [row[:2] for row in table.rows] == [("age", 1), ("city", 1), ("member", 0)]
    assert not model.explains
    assert model.formula() == ()


def change(name: str, position: int, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(parameters: dict[str, Any]) -> None:
        parameters[name][position] = value

    return apply


def drop(name: str) -> Callable[[dict[str, Any]], None]:
    def apply(parameters: dict[str, Any]) -> None:
        del parameters[name]

    return apply


def put(**values: object) -> Callable[[dict[str, Any]], None]:
    def apply(parameters: dict[str, Any]) -> None:
        parameters.update(values)

    return apply


def chain(depth: int) -> dict[str, list[Any]]:
    """Return a tree whose every left child is a leaf, and every right child the next split."""
    columns = [0, *[-1, 0] * (depth - 1), -1, -1]
    left = [i + 1 if column == 0 else 0 for i, column in enumerate(columns)]
    return {"sizes": [len(columns)], "columns": columns, "left": left, "values": [0.0] * len(columns)}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (drop("baseline"), "baseline"),
        (put(baseline=math.nan), "nan is not a finite number"),
        (put(sizes=[]), "0 trees; a model has from 1"),
        (put(sizes=[5, 2]), "do not add up"),
        (put(sizes=[6, 0]), "do not add up"),
        (put(sizes=[7, -1]), "do not add up"),
        (put(values=[1.0]), "do not add up"),
        (put(left=[]), "do not add up"),
        (put(columns={}), "must be whole numbers|do not add up"),
        (change("sizes", 0, True), "sizes must be whole numbers"),
        (change("columns", 0, 0.0), "columns must be whole numbers"),
        (change("columns", 0, 10**400), "columns must be whole numbers"),
        (change("columns", 0, WIDTH), "a column beyond the 5 of the inputs"),
        (change("columns", 0, -2), "a column beyond the 5 of the inputs"),
        (change("left", 0, "1"), "left must be whole numbers"),
        (change("left", 1, 1), "a leaf has children"),
        (change("left", 0, 0), "must be later nodes of its tree"),
        (change("left", 2, 1), "must be later nodes of its tree"),
        (change("left", 2, 4), "must be later nodes of its tree"),
        (change("left", 0, 3), "exactly one split"),
        (change("left", 0, 2), "exactly one split"),
        (change("values", 0, math.inf), "inf is not a finite number"),
        (change("values", 0, None), "None is not a finite number"),
        (put(**chain(MAX_DEPTH + 1)), f"deeper than {MAX_DEPTH}"),
        (
            put(
                **{
                    name: [value] * (MAX_TREES + 1)
                    for name, value in (("sizes", 1), ("columns", -1), ("left", 0), ("values", 0.0))
                }
            ),
            f"{MAX_TREES + 1} trees",
        ),
    ],
)
def test_refuses_nodes_that_are_no_trees(spoil: Callable[[dict[str, Any]], None], reason: str) -> None:
    parameters = json.loads(json.dumps(PARAMETERS))
    spoil(parameters)
    with pytest.raises((ValueError, KeyError), match=reason):
        make(parameters)


small = st.lists(st.integers(-2, 6), min_size=1, max_size=7)


@given(sizes=small, columns=small, left=small, row=rows)
def test_whatever_is_not_refused_can_be_computed(
    sizes: list[int], columns: list[int], left: list[int], row: tuple[float, ...]
) -> None:
    parameters = {
        "baseline": 0.0,
        "sizes": sizes,
        "columns": columns,
        "left": left,
        "values": [1.0] * len(left),
    }
    try:
        model = make(parameters)
    except ValueError:
        return
    assert model.row(row) == len(sizes)
    assert model.rows(np.array([row] * 3)).tolist() == [len(sizes)] * 3


def test_takes_a_tree_of_the_greatest_depth() -> None:
    model = make({"baseline": 0.0, **chain(MAX_DEPTH)})
    assert f"depth {MAX_DEPTH} " in model.summary()


def test_checks_as_many_nodes_as_a_folder_can_hold() -> None:
    """Half a million nodes, deep on one side, of which the last is wrong: only checks in linear time end."""
    tree, times = chain(MAX_DEPTH), 8000
    parameters: dict[str, Any] = {"baseline": 0.0, **{name: values * times for name, values in tree.items()}}
    parameters["columns"][-1] = WIDTH
    with pytest.raises(ValueError, match="beyond the 5"):
        make(parameters)
    parameters["columns"][-1] = -1
    make(parameters)


def test_the_cost_grows_with_trees_and_depth() -> None:
    small, large = (
        make({"baseline": 0.0, **{n: v * times for n, v in chain(7).items()}}) for times in (1, 50)
    )
    assert large.cost == pytest.approx(50 * small.cost)
