"""Checks the parameters of all steps before any of them runs."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from components.data.problems import InvalidDataError, Problem
from components.data.settings import ALL_COLUMNS, Settings
from components.register.gate import Policy
from components.registry.registry import check_places
from components.train.defaults import DESCENT, KIND


def checked(given: Mapping[str, Any]) -> Settings:
    """Check parameters of the pipeline; return those that are settings of ingest.

    Args:
        given: the parameters of the pipeline, by name; others are ignored.

    Raises:
        InvalidDataError: parameters are invalid; it lists every problem.
    """
    settings = Settings(**_members(Settings, given))
    problems = [*map(Problem, _other_problems(given)), *settings.problems()]
    if problems:
        raise InvalidDataError("the parameters", problems)
    return settings


def _other_problems(given: Mapping[str, Any]) -> Iterator[str]:
    if not given["source"].strip():
        yield "source is empty"
    try:
        check_places(given["registry_root"], given["tracking_uri"], given["model_name"])
    except ValueError as error:
        yield str(error)
    try:
        Policy(**_members(Policy, given))
    except ValueError as error:
        yield str(error)
    descent = {name: given[name] for name in DESCENT}
    if (given["model"], descent, given["model_parameters"], given["search"]) == (KIND, DESCENT, {}, {}):
        return  # the defaults need no check, and importing scikit-learn takes a second
    from components.train import kinds
    from components.train.search import check

    try:
        parameters = kinds.of_pipeline(
            given["model"], given["model_parameters"], descent, searched=given["search"]
        )
        kinds.check(given["model"], parameters)
        features = None if given["features"] == [ALL_COLUMNS] else given["features"]
        check(given["search"], given["model"], parameters, features)
    except ValueError as error:
        yield str(error)


def _members(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}
