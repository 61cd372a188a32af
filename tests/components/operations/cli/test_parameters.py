"""Parameters of the pipeline on the command line and in files."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.operations.cli.errors import CommandError
from components.operations.cli.parameters import WANTED, describe, meanings, parse

KINDS = {kind.lower(): kind for kind in WANTED}


def test_reads_every_type() -> None:
    given = [
        "string=a=b",
        "integer=-3",
        "float=1e-3",
        "boolean=true",
        'list=["a", "b"]',
        'dict={"a": [0, null]}',
    ]
    assert parse(given, KINDS) == {
        "string": "a=b",
        "integer": -3,
        "float": 0.001,
        "boolean": True,
        "list": ["a", "b"],
        "dict": {"a": [0, None]},
    }


@pytest.mark.parametrize(
    "text",
    ["integer=1.5", "float=one", "boolean=1", "list=[a,b", "list={}", "dict=[]", "dict={"],
)
def test_names_a_parameter_whose_value_has_another_type(text: str) -> None:
    name = text.partition("=")[0]
    with pytest.raises(CommandError, match=re.escape(f": {name} is {WANTED[KINDS[name]]}")):
        parse([text], KINDS)


@given(st.text(), st.sampled_from(sorted(KINDS)))
def test_any_text_is_read_or_refused(value: str, name: str) -> None:
    with suppress(CommandError):
        assert list(parse([f"{name}={value}"], KINDS)) == [name]


@pytest.mark.parametrize(("value", "names"), [("a", ["a"]), ("a, b,c d", ["a", "b", "c d"]), ("", [])])
def test_reads_a_list_without_json(value: str, names: list[str]) -> None:
    assert parse([f"list={value}"], KINDS) == {"list": names}


def test_reads_a_file_that_the_command_line_overrides(tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("integer: 7\nlist: [a, b]\nfloat: 1\nboolean: true\n")
    assert parse(["integer=8"], KINDS, file) == {
        "integer": 8,
        "list": ["a", "b"],
        "float": 1,
        "boolean": True,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("integer: many", "integer is an integer, not 'many'"),
        ("integer: true", "integer is an integer, not True"),
        ("intger: 1", "there is no parameter 'intger'. Did you mean integer?"),
        ("- 1", "expected a mapping of names to values"),
        ("a: [", "is not valid YAML"),
        (None, "can't be read"),
    ],
)
def test_names_what_is_wrong_with_a_file(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "parameters.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CommandError, match=re.escape(message)):
        parse([], KINDS, file)


def test_suggests_the_name_that_was_meant() -> None:
    with pytest.raises(CommandError, match=r"no parameter 'bolean'\. Did you mean boolean\?"):
        parse(["bolean=true"], KINDS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["integer=1", "integer=1"], "--param integer is given twice"),
        (
            ['list=["a b"]', "list=ü,a b"],
            '--param list is given twice. Give all of it in one: --param \'list=["a b", "ü"]\'',
        ),
        (
            ['dict={"a": 1}', 'dict={"b": 2}'],
            '--param dict is given twice. Give all of it in one: --param \'dict={"a": 1, "b": 2}\'',
        ),
    ],
)
def test_refuses_a_parameter_that_is_given_twice(given: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse(given, KINDS)
    assert str(refused.value) == message


def test_refuses_text_that_kfp_would_replace() -> None:
    with pytest.raises(CommandError, match="KFP would replace"):
        parse(["string={{$.pipeline_job_uuid}}"], KINDS)


def test_describes_type_default_and_meaning() -> None:
    def step(size: int, name: str) -> None:
        """Do it.

        Args:
            size: how large it is,
                in metres.
            name: what it is called.

        Returns:
            Nothing.
        """

    found = meanings(["size", "title"], [step], {"title": "name"})
    lines = describe({"size": "Integer", "title": "String"}, {"size": 3}, found).splitlines()
    assert lines[1:] == [
        "  size (integer, 3)",
        "      how large it is, in metres.",
        "  title (string, required)",
        "      what it is called.",
    ]
