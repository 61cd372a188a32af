from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.operations.cli.errors import CommandError
from components.operations.cli.parameters import WANTED, parse

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
    ["integer=1.5", "float=one", "boolean=1", "list=a,b", "list={}", "dict=[]", "dict={"],
)
def test_names_a_parameter_whose_value_has_another_type(text: str) -> None:
    name = text.partition("=")[0]
    with pytest.raises(CommandError, match=f"--param .*: {name} is {WANTED[KINDS[name]]}"):
        parse([text], KINDS)


@given(st.text(), st.sampled_from(sorted(KINDS)))
def test_any_text_is_read_or_refused(value: str, name: str) -> None:
    with suppress(CommandError):
        assert list(parse([f"{name}={value}"], KINDS)) == [name]
