"""How values and tables are written as text. Training and serving read CSV by the same rules."""

from predictor.wording import shown

BOOLEANS = {"true": 1.0, "True": 1.0, "1": 1.0, "false": 0.0, "False": 0.0, "0": 0.0}
"""How a boolean is written as text."""

MISSING = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA",
    "NULL", "NaN", "n/a", "nan", "null",
))  # fmt: skip
"""How a missing value is written in a cell of CSV: what Arrow's reader takes for one. A category of the model
that is written so is a category."""

_SHOWN = 40

SEPARATORS = ",;\t|"
"""What can separate the fields of a line of CSV."""


def is_number(text: str | bytes) -> bool:
    """Return whether a text is a number, as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def describe(value: object) -> str:
    """Return the kind of a JSON value for a message, and a short value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {shown(value)}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return f"the number {str(value)[:_SHOWN]}"
