"""Fits a model, and writes the model folder."""

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.dataset import Dataset
from components.train import kinds
from components.train.kind import Fit, TrainingData, TrainingError, model_of
from components.train.search import Candidate, Search, Trial, best
from predictor.model import artifact
from predictor.model.base import Model


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training.

    Attributes:
        model: as it was written.
        digest: of the model folder.
        fingerprint: of the dataset.
        source: where the dataset came from.
        gaps: what its missing values are, and what became of them, in a sentence.
        candidate: the features and the parameters it was fitted with.
        fit: what came of the fit.
        metrics: by name: those of the fit; rows; training_seconds of the fit alone; peak_memory_mib of the
            process so far; with a search, search_seconds.
        trials: of the search, if there was one.
    """

    model: Model
    digest: str
    fingerprint: str
    source: str
    gaps: str
    candidate: Candidate
    fit: Fit
    metrics: dict[str, float]
    trials: tuple[Trial, ...] = ()

    def lineage(self) -> dict[str, str]:
        """Say how the model was made, as text: KFP would return integers as floats."""
        return {
            "framework": self.fit.estimator,
            "kind": self.model.kind,
            "digest": self.digest,
            "dataset_fingerprint": self.fingerprint,
            "features": ", ".join(self.candidate.features),
            **{name: str(value) for name, value in self.candidate.parameters.items() if value is not None},
        }


def train(
    dataset: Dataset,
    model_folder: str | Path,
    *,
    kind: str = "linear",
    search: Search | None = None,
    **parameters: Any,
) -> TrainingResult:
    """Fit the model to the training rows and write its folder.

    Args:
        dataset: what ingest wrote, of one shard or merged.
        model_folder: to write; it must not exist.
        kind: of model.
        search: candidates to compare first; the best is then fitted to all training rows.
        **parameters: of the kind. Unless it is given, ``random_state`` is 0: the same dataset and parameters
            give the same model.

    Raises:
        SearchError: the search is invalid, or none of its candidates could be fitted.
        TrainingError: the fit failed, as with a learning rate with which descent diverges.
        ArtifactError: a number of the model is too large for a double, or the model for its folder.
        FileExistsError: the folder exists.
    """
    data = TrainingData.of(dataset)
    chosen = Candidate(data.names, kinds.parameters(kind, parameters))
    trials: list[Trial] = []
    started = time.perf_counter()
    if search:
        trials = search.run(data, kind, chosen)
        chosen = best(trials)
    searched = time.perf_counter()
    data = data.of_inputs(chosen.features)
    try:
        fit = kinds.find(kind).fit(data, chosen.parameters)
        fitted = time.perf_counter()
        model = model_of(kind, fit, data)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    metrics = {
        "rows": float(dataset.train_rows),
        **fit.metrics,
        "training_seconds": fitted - searched,
        "peak_memory_mib": _peak_memory(),
    }
    if search:
        metrics["search_seconds"] = searched - started
    digest = artifact.write(model, model_folder)
    return TrainingResult(
        model,
        digest,
        dataset.fingerprint,
        dataset.source,
        str(dataset.gaps),
        chosen,
        fit,
        metrics,
        tuple(trials),
    )


def _peak_memory() -> float:
    """Return the greatest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
