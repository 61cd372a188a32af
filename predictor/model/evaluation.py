"""How good a model is: what was found on held-out rows, kept beside the model in its folder.

The file is written when the model is registered, after its folder was made, so its digest is no part of the
model's. It names the model that it is about, and carries the SHA-256 of its own content.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from predictor.errors import InvalidInput
from predictor.model.inputs import finite
from predictor.wording import plural

FORMAT_VERSION = 1
_MOST_RESIDUALS = 2000


@dataclass(frozen=True, slots=True)
class Quality:
    """Errors on the held-out rows: root mean squared and mean absolute, in units of the target."""

    rmse: float
    mae: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a model from rows that it was not trained on.

    Attributes:
        digest: of the model that was evaluated.
        rows: how many were held out.
        model: errors of the model.
        baseline: errors of always predicting the mean of the training rows.
        ranks: increasing ranks, from 1, of the residuals that are kept; the last is ``rows``.
        residuals: the absolute residuals of these ranks.
        source: where the rows came from, without credentials.
        created: when the model was evaluated, as ISO 8601 in UTC.
    """

    digest: str
    rows: int
    model: Quality
    baseline: Quality
    ranks: tuple[int, ...]
    residuals: tuple[float, ...]
    source: str
    created: str

    @classmethod
    def of(
        cls,
        actual: NDArray[np.float64],
        predicted: NDArray[np.float64],
        *,
        mean: float,
        digest: str,
        source: str,
        created: str,
    ) -> Self:
        """Evaluate predictions of held-out rows, both of shape (n,), against their actual values.

        Of more than 2,000 residuals a part is kept, evenly spread over the ranks.

        Args:
            actual: the actual values.
            predicted: the predictions.
            mean: the mean of the target in training.
            digest: of the model.
            source: where the rows came from.
            created: now, as ISO 8601 in UTC.

        Raises:
            ValueError: there is no row, or a prediction is so far off that its square overflows.
        """
        if not actual.size:
            raise ValueError("a model can't be evaluated on no rows")
        errors = np.sort(np.abs(actual - predicted))
        count = min(errors.size, _MOST_RESIDUALS)
        ranks = np.ceil(np.arange(1, count + 1) * (errors.size / count)).astype(int)
        with np.errstate(over="ignore", invalid="ignore"):
            model, baseline = _quality(errors), _quality(np.abs(actual - mean))
        if not all(map(math.isfinite, (*asdict(model).values(), *asdict(baseline).values()))):
            raise ValueError("the errors on the held-out rows are beyond the range of a double")
        return cls(
            digest=digest,
            rows=int(errors.size),
            model=model,
            baseline=baseline,
            ranks=tuple(ranks.tolist()),
            residuals=tuple(errors[ranks - 1].tolist()),
            source=source,
            created=created,
        )

    def half_width(self, level: float) -> float:
        """Return half the width of a prediction interval that holds the actual value with a probability.

        Split conformal: of n absolute residuals the one of rank ceil((n + 1) level). The probability is at
        least ``level`` for new rows that are exchangeable with the held-out ones (Lei et al.,
        Distribution-Free Predictive Inference for Regression, 2018). Where not all residuals are kept, the
        next one that is.

        Raises:
            InvalidInput: the level is not between 0 and 1, or needs more held-out rows.
        """
        if not 0 < level < 1:
            raise InvalidInput(f"interval: expected a probability between 0 and 1, got {level:g}")
        rank = math.ceil(round((self.rows + 1) * level, 9))
        if rank > self.rows:
            needed = math.ceil(round(level / (1 - level), 9))
            wanted = f"interval: {level:g} needs {plural(needed, 'held-out row')}"
            raise InvalidInput(f"{wanted}; this model was evaluated on {self.rows}")
        return self.residuals[int(np.searchsorted(self.ranks, rank))]


def _quality(errors: NDArray[np.float64]) -> Quality:
    return Quality(rmse=float(np.sqrt(np.mean(errors**2))), mae=float(errors.mean()))


def encode(evaluation: Evaluation) -> bytes:
    """Return the content of the file."""
    return _dump({**_document(evaluation), "sha256": _digest(evaluation)})


def decode(content: bytes, digest: str) -> Evaluation:
    """Read the content of the file of a model.

    Args:
        content: of the file.
        digest: of the model.

    Raises:
        KeyError: a member is missing.
        ValueError: it is malformed, was changed, or is about another model.
        TypeError: a member is of another type.
    """
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"not an evaluation of format version {FORMAT_VERSION}")
    evaluation = of_document(document)
    if document["sha256"] != _digest(evaluation):
        raise ValueError("it was changed: its SHA-256 is another")
    if evaluation.digest != digest:
        raise ValueError("it is about another model")
    return evaluation


def of_document(document: dict[str, Any]) -> Evaluation:
    """Read the members of an evaluation.

    Raises:
        KeyError: a member is missing.
        ValueError: a member contradicts another, or is not finite.
        TypeError: a member is of another type.
    """
    ranks, residuals = document["ranks"], tuple(map(finite, document["residuals"]))
    rows = document["rows"]
    if not isinstance(rows, int) or not all(type(rank) is int for rank in ranks):
        raise ValueError("rows and ranks must be whole numbers")
    if len(ranks) != len(residuals) or not ranks or ranks[-1] != rows or ranks[0] < 1:
        raise ValueError("there must be a residual for each rank, the last rank being the number of rows")
    if not _increases(ranks, strictly=True) or residuals[0] < 0 or not _increases(residuals):
        raise ValueError("ranks and residuals must increase")
    digest, source, created = (document[name] for name in ("digest", "source", "created"))
    if not all(isinstance(text, str) for text in (digest, source, created)):
        raise ValueError("digest, source and created must be strings")
    model, baseline = (
        Quality(finite(document[name]["rmse"]), finite(document[name]["mae"]))
        for name in ("model", "baseline")
    )
    return Evaluation(digest, rows, model, baseline, tuple(ranks), residuals, source, created)


def _increases(values: Sequence[float], *, strictly: bool = False) -> bool:
    steps = np.diff(np.asarray(values, dtype=float))
    return bool((steps > 0).all() if strictly else (steps >= 0).all())


def _document(evaluation: Evaluation) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, **asdict(evaluation)}


def _digest(evaluation: Evaluation) -> str:
    return hashlib.sha256(_dump(_document(evaluation))).hexdigest()


def _dump(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
