"""Problems of the data, with where they are and what can be done about them."""

from collections.abc import Sequence
from dataclasses import dataclass

ROWS_LISTED = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of the data or the parameters.

    Attributes:
        what: the sentence to show, such as ``feature 'bmi' is not a number``.
        rows: in how many rows; 0 if it isn't about rows.
        examples: the first of these rows as (where, value), at most ``ROWS_LISTED``; the
            value is empty where it is missing.
        remedy: what can be done about it, such as ``add missing=drop``.
    """

    what: str
    rows: int = 0
    examples: tuple[tuple[str, str], ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        if not self.rows:
            return self.what + remedy
        listed = ", ".join(f"{where}: {value}" if value else where for where, value in self.examples)
        more = f", and {self.rows - len(self.examples)} more" if self.rows > len(self.examples) else ""
        return f"{self.what} in {self.rows} row{'s'[: self.rows != 1]} ({listed}{more}){remedy}"


class InvalidDataError(ValueError):
    """The data or the parameters can't be used; the message lists every problem that was found."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n- ".join((f"{source} was refused:", *map(str, self.problems))))


class SourceError(OSError):
    """The source can't be read; the message names it without its credentials."""
