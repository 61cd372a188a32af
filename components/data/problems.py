"""Problems of the data, with where they are and what can be done about them."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

ROWS_LISTED = 10
# A list or an object that a remedy gives a parameter.
_GIVEN = re.compile(r"\b(\w+)=(?=[\[{])")


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
        lines = "\n- ".join((f"{source} was refused:", *map(str, self.problems)))
        together = _together(self.problems)
        super().__init__(f"{lines}\nTogether: {together}" if together else lines)


class SourceError(OSError):
    """The source can't be read; the message names it without its credentials."""


def _together(problems: Sequence[Problem]) -> str:
    """Return the parameters that several remedies give in parts, such as the columns to exclude, as one each.

    A parameter that is given twice is refused, so the parts can't be pasted one after the other.
    """
    parts: dict[str, list[Any]] = {}
    for problem in problems:
        for found in _GIVEN.finditer(problem.remedy):
            with suppress(ValueError):
                value, _ = json.JSONDecoder().raw_decode(problem.remedy, found.end())
                parts.setdefault(found[1], []).append(value)
    joined = {
        name: [item for value in values for item in value]
        if isinstance(values[0], list)
        else {key: item for value in values for key, item in value.items()}
        for name, values in parts.items()
        if len(values) > 1
    }
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in joined.items())
