"""How values and tables are written as text. Training and serving read CSV by the same rules."""

BOOLEANS = {"true": 1.0, "True": 1.0, "1": 1.0, "false": 0.0, "False": 0.0, "0": 0.0}
"""How a boolean is written as text."""

MISSING = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA",
    "NULL", "NaN", "n/a", "nan", "null",
))  # fmt: skip
"""How a missing value is written in a cell of CSV: what Arrow's reader takes for one. A category of the model
that is written so is a category."""

SEPARATORS = ",;\t|"
"""What can separate the fields of a line of CSV."""


def is_number(text: str | bytes) -> bool:
    """Return whether a text is a number, as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True
