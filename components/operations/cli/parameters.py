"""Pipeline parameters, as they are written on the command line."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from components.operations.cli.errors import CommandError

# By KFP's names of the types.
WANTED = {
    "String": "text",
    "Integer": "an integer",
    "Float": "a number",
    "Boolean": "true or false",
    "List": "a JSON list",
    "Dict": "a JSON object",
}


def parse(given: Iterable[str], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` by the type of each name: ``lr=0.1``, ``features=["bmi", "bp"]``.

    Args:
        given: as on the command line.
        kinds: KFP's type of each parameter.

    Raises:
        CommandError: an unknown name, or a value of another type.
    """
    parameters: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--param {text}: expected NAME=VALUE")
        if name not in kinds:
            raise CommandError(f"--param {text}: there is no parameter {name!r}, only {', '.join(kinds)}")
        try:
            parameters[name] = _read(value, kinds[name])
        except ValueError as error:
            raise CommandError(f"--param {text}: {name} is {WANTED[kinds[name]]}") from error
    return parameters


def _read(value: str, kind: str) -> Any:
    if kind == "String":
        return value
    if kind == "Integer":
        return int(value)
    if kind == "Float":
        return float(value)
    document = json.loads(value)
    if not isinstance(document, {"Boolean": bool, "List": list, "Dict": dict}[kind]):
        raise ValueError(value)
    return document
