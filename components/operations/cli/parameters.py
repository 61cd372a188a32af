"""Reads the pipeline's parameters from the command line and from YAML files, and describes them."""

import argparse
import difflib
import inspect
import json
import shlex
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from components.operations.cli.errors import CommandError

# By KFP's names of the types.
WANTED = {
    "String": "text",
    "Integer": "an integer",
    "Float": "a number",
    "Boolean": "true or false",
    "List": "a list: a,b,c or JSON",
    "Dict": "a JSON object",
}
PYTHON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "String": str,
    "Integer": int,
    "Float": (int, float),
    "Boolean": bool,
    "List": list,
    "Dict": dict,
}
PLACEHOLDER = "{{$"
WIDTH = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that give parameters of the pipeline."""
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the pipeline; give the option again for another one",
    )
    parser.add_argument(
        "--params", type=Path, metavar="FILE", help="a YAML file of parameters; --param overrides it"
    )


def parse(given: Iterable[str], kinds: Mapping[str, str], file: Path | None = None) -> dict[str, Any]:
    """Read parameters by the type of each: ``lr=0.1``, ``features=bmi,bp`` or ``features=["bmi", "bp"]``.

    Args:
        given: ``NAME=VALUE``, as on the command line.
        kinds: KFP's type of each parameter.
        file: a YAML file of further ones, which ``given`` overrides.

    Raises:
        CommandError: an unknown name, one that is given twice, a value of another type, or text that KFP
            would replace.
    """
    read: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"--param {text}: expected NAME=VALUE")
        _check_name(f"--param {text}", name, kinds)
        try:
            found = _read(value, kinds[name])
        except ValueError as error:
            raise CommandError(f"--param {text}: {name} is {WANTED[kinds[name]]}") from error
        if name in read:
            raise CommandError(f"--param {name} is given twice{_in_one(name, read[name], found)}")
        read[name] = found
    parameters = (_read_file(file, kinds) if file else {}) | read
    for name, value in parameters.items():
        if PLACEHOLDER in json.dumps(value):
            raise CommandError(
                f"{name}: KFP would replace {PLACEHOLDER} …}}}} in {value!r}; use another text"
            )
    return parameters


def meanings(
    names: Iterable[str], steps: Iterable[Callable[..., Any]], renamed: Mapping[str, str]
) -> dict[str, str]:
    """Return the meaning of each parameter; empty where no step says it.

    Args:
        names: of the parameters.
        steps: the functions of the steps, whose docstrings say what a parameter means.
        renamed: the name in the step of each parameter that is called otherwise in the pipeline.
    """
    found: dict[str, str] = {}
    for step in steps:
        found = _arguments(step) | found
    return {name: found.get(renamed.get(name, name), "") for name in names}


def describe(kinds: Mapping[str, str], defaults: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    """Describe each parameter: its type, its default, and its meaning.

    Args:
        kinds: KFP's type of each parameter.
        defaults: of those that have one.
        meanings: of each.
    """
    lines = []
    for name, kind in kinds.items():
        default = f", {json.dumps(defaults[name])}" if name in defaults else ", required"
        lines.append(f"  {name} ({kind.lower()}{default})")
        lines += textwrap.wrap(meanings[name], WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(["parameters of the pipeline:", *lines])


def _arguments(function: Callable[..., Any]) -> dict[str, str]:
    """Read the section Args of a Google docstring."""
    section = (inspect.getdoc(function) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith(" " * 8) and name:
            found[name] += f" {line.strip()}"
        elif line.startswith(" " * 4):
            name, _, meaning = line.strip().partition(": ")
            found[name] = meaning
    return found


def _read_file(file: Path, kinds: Mapping[str, str]) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--params {file} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise CommandError(f"--params {file} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise CommandError(f"--params {file}: expected a mapping of names to values")
    for name, value in document.items():
        _check_name(f"--params {file}", str(name), kinds)
        kind = kinds[name]
        if not isinstance(value, PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
            raise CommandError(f"--params {file}: {name} is {WANTED[kind]}, not {value!r}")
    return document


def _in_one(name: str, first: Any, second: Any) -> str:
    """Return how both values are given in one parameter; nothing if it can't hold both."""
    if isinstance(first, list):
        both: Any = first + [value for value in second if value not in first]
    elif isinstance(first, dict):
        both = first | second
    else:
        return ""
    return f". Give all of it in one: --param {shlex.quote(f'{name}={json.dumps(both, ensure_ascii=False)}')}"


def _check_name(where: str, name: str, kinds: Mapping[str, str]) -> None:
    if name in kinds:
        return
    close = difflib.get_close_matches(name, kinds, n=1)
    meant = f". Did you mean {close[0]}?" if close else f", only {', '.join(kinds)}"
    raise CommandError(f"{where}: there is no parameter {name!r}{meant}")


def _read(value: str, kind: str) -> Any:
    if kind == "String":
        return value
    if kind == "Integer":
        return int(value)
    if kind == "Float":
        return float(value)
    if kind == "List" and not value.lstrip().startswith(("[", "{")):
        return [part.strip() for part in value.split(",")] if value else []
    document = json.loads(value)
    if not isinstance(document, {"Boolean": bool, "List": list, "Dict": dict}[kind]):
        raise ValueError(value)
    return document
