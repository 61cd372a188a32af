from typing import Any

import pytest

from components.data.settings import Settings


def test_defaults_and_open_ranges_are_valid() -> None:
    assert Settings().problems() == []
    assert Settings(ranges={"bmi": [None, 5], "target": (0, None)}, units={"target": "mg"}).problems() == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": []}, "no feature is named"),
        ({"features": "bmi"}, "features must be a list of names, not 'bmi'"),
        ({"features": ["bmi", ""]}, "'' is not the name of a column"),
        ({"features": [2.0]}, "2.0 is not the name of a column"),
        ({"target": None}, "None is not the name of a column"),
        ({"features": ["bmi", "age", "bmi"]}, "feature 'bmi' is named 2 times"),
        (
            {"features": ["_id"]},
            "feature '_id': names that begin with an underscore are reserved",
        ),
        ({"features": ["bmi", "target"]}, "the target 'target' is among the features"),
        ({"units": {"height": "cm"}}, "units names 'height', which is neither a feature nor the target"),
        ({"ranges": {"height": [0, 1]}}, "ranges names 'height', which is neither a feature nor the target"),
        ({"ranges": {"bmi": [2, 1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": [1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": "12"}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": ["1", "2"]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"ranges": {"bmi": [float("nan"), 1]}}, "the range of 'bmi' must be [lowest, highest]"),
        ({"units": {"bmi": 5}}, "the unit of 'bmi' must be text, not 5"),
        ({"features": ["*"], "exclude": [1]}, "1 is not the name of a column"),
        ({"test_share": 1}, "test_share must be at least 0 and less than 1, not 1"),
        ({"test_share": -0.1}, "test_share must be at least 0"),
        ({"test_share": float("nan")}, "test_share must be at least 0"),
        ({"test_rows": 1}, "test_rows must be at least 2, not 1"),
        ({"order": "day", "group": "person", "test_share": 0.2}, "order and group exclude each other"),
        ({"group": "person"}, "group needs test_share"),
        ({"group": "target", "test_share": 0.2}, "group can't be the target 'target'"),
        ({"order": "target"}, "order can't be the target 'target'"),
        ({"max_columns": 0}, "max_columns must be at least 1, not 0"),
        ({"kept_rows": 9}, "kept_rows must be at least 10, not 9"),
        ({"seed": -1}, "seed must be at least 0"),
        (
            {"features": ["*", "bmi"]},
            "the feature '*' means all columns; give it alone, or name columns",
        ),
        ({"exclude": ["id"]}, 'exclude is of use only with all columns as features: features=["*"]'),
        (
            {"types": {"bmmi": "category"}},
            "types names 'bmmi', which is neither a feature nor the target. Is 'bmi'",
        ),
        (
            {"types": {"bmi": "categry"}},
            "the type of 'bmi' must be one of number, boolean, category, not 'categry'",
        ),
        ({"types": {"target": "number"}}, "types names the target 'target', which is always a number"),
        (
            {"types": {"bmi": "boolean"}, "ranges": {"bmi": [0, 1]}},
            "ranges names 'bmi', which types says is not a number",
        ),
        ({"missing": "median"}, "missing must be one of fail, drop, mean, not 'median'. Is 'mean' meant?"),
        ({"unknown_categories": "x"}, "unknown_categories must be one of fail, ignore, not 'x'"),
        ({"max_categories": 1}, "max_categories must be at least 2, not 1"),
        ({"decimal": ";"}, "decimal must be '.' or ',', not ';'"),
        ({"features": [f"a long name {n}" for n in range(5000)]}, 'a step takes 65,536; add features=["*"]'),
        ({"duplicates": "ignore"}, "duplicates must be one of report, drop, fail, not 'ignore'"),
    ],
)
def test_reports_an_invalid_parameter(parameters: dict[str, Any], message: str) -> None:
    (problem,) = Settings(**parameters).problems()
    assert message in str(problem)


def test_reports_all_invalid_parameters_together() -> None:
    assert len(Settings(features=["a", "a"], target="a", test_rows=0, seed=-1).problems()) == 4
