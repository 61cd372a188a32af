"""How each kind of model is fitted. Each module is one, named like its kind in ``predictor.model.kinds``."""

import pkgutil
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any, cast

from components.data.settings import meant
from components.train.defaults import DESCENT, KIND
from components.train.kind import Kind, TrainingError
from predictor.model import kinds as served


def names() -> list[str]:
    """Return the names of the kinds, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Kind:
    """Return a kind; its module is imported only then, and so is the one that serves it.

    Raises:
        TrainingError: there is no such kind, or one of its modules is missing or incomplete.
    """
    if name not in names():
        listed = ", ".join(names())
        twin = f"; {_path(__name__, name)} is missing" if name in served.names() else meant(name, names())
        raise TrainingError(f"unknown kind of model {name!r}; there are {listed}{twin}")
    if name not in served.names():
        raise TrainingError(f"{name} can't be served: {_path(served.__name__, name)} is missing")
    module = import_module(f"{__name__}.{name}")
    if not isinstance(getattr(module, "PARAMETERS", None), Mapping):
        raise TrainingError(f"{_path(__name__, name)} needs PARAMETERS, a dict of defaults; {{}} for none")
    if not callable(getattr(module, "fit", None)):
        raise TrainingError(f"{_path(__name__, name)} needs a function fit(data, parameters)")
    try:
        served.find(name)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    return cast("Kind", module)


def _path(package: str, name: str) -> str:
    return f"{package.replace('.', '/')}/{name}.py"


def parameters(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a kind, those that are not given at their defaults.

    Raises:
        TrainingError: there is no such kind or parameter.
    """
    defaults = find(name).PARAMETERS
    if unknown := [one for one in given if one not in defaults]:
        raise TrainingError(
            f"{name} has no parameter {unknown[0]!r}, only {', '.join(defaults)}{meant(unknown[0], defaults)}"
        )
    return {**defaults, **{one: whole(value, defaults[one]) for one, value in given.items()}}


def check(name: str, given: Mapping[str, Any]) -> None:
    """Check the parameters of a kind without any data, as far as the kind does that.

    Raises:
        TrainingError: there is no such kind or parameter.
        ValueError: a value is invalid.
    """
    values = parameters(name, given)
    if found := getattr(find(name), "check", None):
        found(values)


def of_pipeline(
    name: str, given: Mapping[str, Any], descent: Mapping[str, Any], searched: Collection[str] = ()
) -> dict[str, Any]:
    """Return the parameters of a kind for those of the pipeline.

    Args:
        name: of the kind.
        given: by name, for any kind.
        descent: those that the pipeline has for the linear kind alone.
        searched: the parameters that a search chooses.

    Raises:
        TrainingError: parameters of descent are given for another kind, or do not go together.
    """
    if name == KIND:
        from components.train.kinds import linear

        return {**linear.of_pipeline(descent, {*searched, *given}), **given}
    if changed := [one for one, value in descent.items() if value != DESCENT[one]]:
        raise TrainingError(
            f"{changed[0]} is a parameter of linear; those of {name} go into model_parameters: "
            f"{', '.join(find(name).PARAMETERS)}"
        )
    return dict(given)


def whole(value: Any, default: Any) -> Any:
    """Take 100.0 for 100 unless the default is a float: KFP passes every number in a document as a float."""
    whole_number = isinstance(value, float) and value.is_integer() and not isinstance(default, float)
    return int(value) if whole_number else value
