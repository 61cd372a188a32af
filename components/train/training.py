"""The step: fit, and write the model folder."""

import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.dataset import Dataset
from components.train.regression import SimpleLinearRegression
from components.train.search import Candidate, Search, Trial, best
from predictor import artifact
from predictor.artifact import Distribution, LinearModel, Reference

CURVE_POINTS = 200


class TrainingError(ValueError):
    """The fit failed or gave a model that can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        model: as it was written.
        digest: of the model folder.
        fingerprint: of the dataset.
        parameters: with which it was fitted.
        metrics: by name: rows, final_loss and initial_loss (mean squared errors over the training rows),
            training_seconds (the fit alone), peak_memory_mib (of the process so far), with a search
            search_seconds.
        steps: numbers of steps, shape (k,), spread evenly over their logarithm.
        losses: the losses after so many steps, shape (k,).
        trials: of the search, if there was one.
    """

    model: LinearModel
    digest: str
    fingerprint: str
    parameters: Candidate
    metrics: dict[str, float]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    trials: tuple[Trial, ...] = ()

    def lineage(self) -> dict[str, str]:
        """What to remember about the model's making, as text: KFP would return integers as floats."""
        parameters = asdict(self.parameters)
        parameters["features"] = ",".join(self.parameters.features)
        return {
            "framework": "SimpleLinearRegression",
            "digest": self.digest,
            "dataset_fingerprint": self.fingerprint,
            **{name: str(value) for name, value in parameters.items()},
        }


def train(
    dataset: Dataset,
    model_folder: str | Path,
    *,
    iterations: int = 15000,
    lr: float = 0.1,
    search: Search | None = None,
) -> TrainingResult:
    """Fit the model on the training rows and write its folder.

    Args:
        dataset: what ingest wrote.
        model_folder: to write; it must not exist.
        iterations: the number of steps.
        lr: the learning rate.
        search: candidates to compare first; the best is then fitted on all training rows.

    Raises:
        SearchError: the search makes no sense, or none of its candidates could be fitted.
        TrainingError: the fit failed, as with a learning rate with which descent diverges.
        FileExistsError: the folder exists.
    """
    names = [feature.name for feature in dataset.features]
    X, y = dataset.train()
    chosen, trials = Candidate(tuple(names), iterations, lr), []
    started = time.perf_counter()
    if search:
        trials = search.run(X, y, names, chosen)
        chosen = best(trials)
        X = X[:, [names.index(name) for name in chosen.features]]
    searched = time.perf_counter()
    try:
        estimator = chosen.estimator().fit(X, y)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    fitted = time.perf_counter()
    model = _model(dataset, estimator, chosen.features, X)
    digest = artifact.write(model, model_folder)
    steps, losses = _curve(estimator)
    metrics = {
        "rows": float(len(y)),
        "initial_loss": estimator.losses[0],
        "final_loss": estimator.losses[-1],
        "training_seconds": fitted - searched,
        "peak_memory_mib": _peak_memory(),
    }
    if search:
        metrics["search_seconds"] = searched - started
    return TrainingResult(
        model, digest, dataset.fingerprint, chosen, metrics, steps, losses, trials=tuple(trials)
    )


def _model(
    dataset: Dataset, estimator: SimpleLinearRegression, names: tuple[str, ...], X: NDArray[np.float64]
) -> LinearModel:
    predictions = estimator.predict(X)
    if not (np.isfinite(estimator.coef_).all() and np.isfinite(predictions).all()):
        raise TrainingError("the fitted weights, or the predictions they give, are not finite")
    features = {feature.name: feature for feature in dataset.features}
    return LinearModel(
        weights=tuple(np.asarray(estimator.coef_, dtype=np.float64).tolist()),
        intercept=float(estimator.intercept_),
        features=tuple(features[name] for name in names),
        target=dataset.target,
        reference=Reference(
            rows=dataset.train_rows,
            features={name: dataset.distributions[name] for name in names},
            prediction=Distribution.of(predictions),
        ),
    )


def _curve(estimator: SimpleLinearRegression) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sample the losses: there may be millions, each computed when it is read."""
    losses = estimator.losses
    last = len(losses) - 1
    steps = np.unique(np.geomspace(1, last, min(last, CURVE_POINTS)).round().astype(np.int64))
    return steps, np.array([losses[int(step)] for step in steps])


def _peak_memory() -> float:
    """Return the greatest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
