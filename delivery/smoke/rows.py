"""Rows to predict, and how each protocol sends them."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Value = float | bool | str
Row = tuple[Value, ...]

TOLERANCE = 1e-9
"""By how much two answers may differ, as a share of the larger of the answer and what they vary by."""


class RowsError(Exception):
    """A file of rows and answers that can't be used."""


@dataclass(frozen=True)
class Rows:
    """Rows, and the answers to them where they are known.

    Attributes:
        rows: values in the order of the model's inputs, none of them missing.
        answers: the model's predictions; None where the endpoints can only be compared with each other.
        deviation: what the predictions vary by.
    """

    rows: tuple[Row, ...]
    answers: tuple[float, ...] | None = None
    deviation: float = 0.0

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read JSON with ``rows`` and ``answers``, such as the registry has of each version (the tag probes).

        Raises:
            RowsError: it is no such file, or every row has a missing value.
        """
        try:
            document = json.loads(file.read_text())
            pairs = zip(document["rows"], document["answers"], strict=True)
            usable = [(tuple(row), float(answer)) for row, answer in pairs if None not in row]
            deviation = float(document.get("deviation", 0.0))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RowsError(f"{file} has no rows and answers: {error}") from error
        if not usable:
            raise RowsError(f"{file} has no row without a missing value")
        rows, answers = zip(*usable, strict=True)
        return cls(rows, answers, deviation)

    @classmethod
    def typical(cls, features: list[dict[str, Any]]) -> Self:
        """Return rows within the inputs that ``GET /`` describes."""
        return cls(tuple(tuple(_value(one, share) for one in features) for share in (0.25, 0.5, 0.75)))

    def agree(self, found: list[float], expected: list[float] | tuple[float, ...]) -> bool:
        """Whether predictions are the expected ones."""
        return len(found) == len(expected) and all(
            abs(one - other) <= TOLERANCE * max(abs(other), self.deviation)
            for one, other in zip(found, expected, strict=True)
        )

    def csv(self, names: list[str]) -> str:
        """Return the rows as CSV, below the names of the inputs."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(names)
        writer.writerows(
            [["true" if v is True else "false" if v is False else v for v in row] for row in self.rows]
        )
        return text.getvalue()

    def tensors(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the tensors of V2 for the inputs that the model's metadata lists."""
        count = len(self.rows)
        if len(inputs) == 1 and len(inputs[0]["shape"]) > 1:
            values = [value for row in self.rows for value in row]
            return [{**inputs[0], "shape": [count, len(self.rows[0])], "data": values}]
        columns = zip(*self.rows, strict=True)
        return [
            {**one, "shape": [count], "data": list(column)}
            for one, column in zip(inputs, columns, strict=True)
        ]


def _value(one: dict[str, Any], share: float) -> Value:
    """Return a value of an input: at a share of a number's range, or a category or a boolean by turns."""
    if one["type"] == "number":
        return float(one["minimum"] + share * (one["maximum"] - one["minimum"]))
    if one["type"] == "boolean":
        return share > 0.5
    categories: list[str] = one["categories"]
    return categories[int(share * len(categories))]
