"""Synthetic rows with the answers of a model, by which a rollout recognises the model in a pod.

They are made by ``evaluate`` and kept in the registry with the version, beside its folder. No row is a real
one: folders are immutable, and people's rows must remain erasable.
"""

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.model.base import Model
from predictor.model.inputs import Input

MOST_ROWS = 96
# A tag of MLflow holds 100,000 characters.
MOST_CHARACTERS = 80_000

Value = float | bool | str | None


@dataclass(frozen=True, slots=True)
class Probes:
    """Rows and the answers to them.

    Attributes:
        rows: values as a client sends them, in the order of the model's inputs.
        answers: the model's predictions, as the predictor computes them.
        deviation: standard deviation of the target.
        tolerance: by how much an answer may differ, as a share of the larger of its size and the deviation.
    """

    rows: tuple[tuple[Value, ...], ...]
    answers: tuple[float, ...]
    deviation: float
    tolerance: float = 1e-9

    def agrees(self, row: int, value: float | None) -> bool:
        """Whether a value is the recorded answer to a row."""
        expected = self.answers[row]
        allowed = self.tolerance * max(abs(expected), self.deviation)
        return value is not None and abs(value - expected) <= allowed

    def to_json(self) -> str:
        """Write them for a tag of the version."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Probes":
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            document = json.loads(text)
            probes = cls(
                rows=tuple(map(tuple, document["rows"])),
                answers=tuple(map(float, document["answers"])),
                deviation=float(document["deviation"]),
                tolerance=float(document["tolerance"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no probes: {error!r}") from error
        if not probes.rows or len(probes.rows) != len(probes.answers):
            raise ValueError(f"{len(probes.rows)} probes with {len(probes.answers)} answers")
        return probes


def record(model: Model, deviation: float) -> Probes | None:
    """Make rows over the inputs' ranges and categories, and record the model's answers.

    The first row is the typical one. In the others each input takes its minimum, maximum and values between
    them, or each of its categories in turn, in an order that differs from input to input: as many rows as a
    model has categories show all of them. A wide model gets fewer rows.

    Args:
        model: read from its folder, as the predictor reads it.
        deviation: standard deviation of the target.

    Returns:
        None where not even one row fits, or the model has no finite answer to any.
    """
    count = max([MOST_ROWS, *(len(one.categories) + 1 for one in model.inputs)])
    columns = [
        _values(one, typical, count, np.random.default_rng(position))
        for position, (one, typical) in enumerate(zip(model.inputs, model.typical, strict=True))
    ]
    rows, answers, size = [], [], 0
    for row in zip(*columns, strict=True):
        size += len(json.dumps(row)) + 32
        if size > MOST_CHARACTERS:
            break
        numbers = [one.number(value, one.name) for one, value in zip(model.inputs, row, strict=True)]
        if math.isfinite(answer := float(model.row(numbers))):
            rows.append(row)
            answers.append(answer)
    spread = deviation if math.isfinite(deviation) else 0.0
    return Probes(tuple(rows), tuple(answers), spread, model.tolerance) if rows else None


def _values(one: Input, typical: float, count: int, chance: np.random.Generator) -> list[Value]:
    """The values of an input in each row, the typical one first."""
    if one.type == "number":
        return [_short(value) for value in (typical, *_numbers(one, count - 1, chance))]
    choices = 2 if one.type == "boolean" else len(one.categories)
    turns = np.resize(chance.permutation(choices), count - 1)
    return [one.value(value) for value in (typical, *turns.tolist())]


def _numbers(one: Input, count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    span = chance.uniform(size=count)
    # A half of the rows at the ends of the range.
    ends = chance.permutation(count)
    span[ends[: count // 4]], span[ends[count // 4 : count // 2]] = 0.0, 1.0
    return one.minimum * (1 - span) + one.maximum * span


def _short(value: float) -> float:
    """A value that is short in JSON."""
    return float(f"{value:.4g}")
