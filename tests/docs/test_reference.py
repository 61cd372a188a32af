"""The reference pages are what the code says."""

import pytest

import pipeline
from docs.tools import reference
from predictor.settings import Settings


@pytest.mark.parametrize("name", reference.PAGES)
def test_reference_is_up_to_date(name: str) -> None:
    written = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), "python -m docs.tools.reference writes it"


def test_reference_says_what_each_setting_and_parameter_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert [name for name, meaning in pipeline.meanings().items() if not meaning] == []


def test_cells_of_a_table_hold_one_line_of_markdown() -> None:
    assert (
        reference.table(("a", "b"), [("x\n y", "``c`` | d")])
        == "| a | b |\n| --- | --- |\n| x y | `c` \\| d |"
    )


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("max_body_bytes", 32 * 2**20, "32 MiB"),
        ("inline_bytes", 2**17, "128 KiB"),
        ("max_rows", 1_000_000, "`1,000,000`"),
        ("jwt_algorithms", ("RS256",), '`["RS256"]`'),
        ("host", "127.0.0.1", "`127.0.0.1`"),
        ("jwks", None, "none"),
    ],
)
def test_defaults_are_written_in_units_that_people_read(name: str, value: object, written: str) -> None:
    assert reference.amount(name, value) == written
