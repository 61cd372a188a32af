"""Finds out whether a champion was trained on the rows that are held out now.

A run may hold out other rows than the run of the champion did: with another seed, share or column. Then the
champion has learned from some of them, and its error on them is lower than on rows that it never met.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scipy.special import bdtrc

from components.data.dataset import Dataset
from components.data.rows import RowSketch, hash_rows

SPLIT = ("test_rows", "test_share", "order", "group", "seed")
# Probability of a contamination that is none. Rows that are equal by coincidence are allowed for.
LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The rows that a model was trained on, as its version keeps them.

    Attributes:
        sketch: of the kept ones, by their features and target.
        repeated: the probability that a held-out row equals one of them by coincidence. It is (r + 1) /
            (n + 2) if r of n rows of the run do (Laplace's rule): none of a few rows does not mean never.
        kept: the share of the training rows that was kept.
        split: the settings that say which rows were held out.
    """

    sketch: RowSketch
    repeated: float
    kept: float = 1.0
    split: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset) -> "TrainingRows":
        """Sketch the training rows of a dataset."""
        types = dataset.types
        sketch = RowSketch.of_hashes(hash_rows(dataset.train_values()), tuple(types), tuple(types.values()))
        decided, repeated = sketch.matches(hash_rows(dataset.test_values().values()))
        return cls(
            sketch,
            (repeated + 1) / (decided + 2),
            dataset.kept_rows / dataset.train_rows,
            {name: dataset.settings[name] for name in SPLIT if name in dataset.settings},
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "TrainingRows":
        """Read what ``document`` returned, from JSON."""
        return cls(**{**document, "sketch": RowSketch.of_document(document["sketch"])})

    def document(self) -> dict[str, Any]:
        """Return the rows as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Contamination:
    """A champion that was trained on held-out rows.

    Attributes:
        share: of the held-out rows that it was trained on, an estimate.
        split: the settings with which its run held out other rows, such as ``seed=0``; empty if they are the
            same now.
    """

    share: float
    split: str


def find(dataset: Dataset, training: TrainingRows) -> Contamination | None:
    """Find out whether a model was trained on the held-out rows of a dataset.

    Of many training rows the sketch has a random part, and the rows of that part are tested: more of them are
    among the training rows than coincidence explains, by a one-sided binomial test at ``LEVEL``.

    Returns:
        None where nothing shows that it was, and where the columns can't be compared.
    """
    sketch = training.sketch
    values = dataset.test_values_as(dict(zip(sketch.columns, sketch.types, strict=True)))
    if values is None:
        return None
    decided, found = sketch.matches(hash_rows(values.values()))
    if not found or bdtrc(found - 1, decided, training.repeated) >= LEVEL:
        return None
    excess = (found / decided - training.repeated) / (1 - training.repeated)
    share = min(excess / training.kept, 1.0)
    return Contamination(share, _difference(training.split, dataset.settings))


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the settings of a split that are other ones now, as parameters of a run."""
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in before.items()
        if value != now.get(name)
    )
