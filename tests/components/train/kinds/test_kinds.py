"""The parameters of the kinds, as the pipeline gives them."""

import inspect
from typing import Any

import pytest

import pipeline
from components.train import kinds
from components.train.component import train
from components.train.defaults import DESCENT
from components.train.kind import TrainingError
from predictor.model import kinds as served


def test_every_kind_that_is_trained_is_also_served() -> None:
    assert kinds.names() == served.names()


def test_the_pipeline_has_the_same_defaults_as_the_step_and_the_kind() -> None:
    for function in (train.python_func, pipeline.linear_regressor.pipeline_func):
        defaults = {name: one.default for name, one in inspect.signature(function).parameters.items()}
        assert {name: defaults[name] for name in DESCENT} == DESCENT


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"iterations": None, "learning_rate": "auto"}),
        ({"iterations": 7}, {"iterations": 7, "learning_rate": "auto"}),
        ({"lr": 0.2}, {"iterations": None, "learning_rate": "constant", "lr": 0.2}),
        (
            {"iterations": 7, "lr": 0.2, "learning_rate": "invscaling"},
            {"iterations": 7, "learning_rate": "invscaling", "lr": 0.2},
        ),
    ],
)
def test_zero_leaves_steps_and_rate_of_descent_to_the_data(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = kinds.of_pipeline("linear", {}, {**DESCENT, **given})
    assert found == {"penalty": None, "alpha": 0.0001, "l1_ratio": 0.15, **expected}


def test_a_rate_that_is_searched_is_not_left_to_the_data() -> None:
    assert kinds.of_pipeline("linear", {}, DESCENT, searched=["lr"])["learning_rate"] == "constant"


def test_refuses_inverse_scaling_without_a_rate() -> None:
    with pytest.raises(TrainingError, match="invscaling needs iterations and lr above 0"):
        kinds.of_pipeline("linear", {}, {**DESCENT, "lr": 0.1, "learning_rate": "invscaling"})


def test_refuses_parameters_of_descent_for_another_kind() -> None:
    assert kinds.of_pipeline("trees", {"max_depth": 3.0}, DESCENT) == {"max_depth": 3.0}
    with pytest.raises(
        TrainingError, match="lr is a parameter of linear; those of trees go into model_param"
    ):
        kinds.of_pipeline("trees", {}, {**DESCENT, "lr": 0.1})


def test_takes_whole_numbers_that_kfp_passes_as_floats() -> None:
    found = kinds.parameters("trees", {"max_depth": 3.0, "learning_rate": 1.0})
    assert (type(found["max_depth"]), type(found["learning_rate"])) == (int, float)
    assert found["max_iter"] == 100
