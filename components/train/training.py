"""The step: fit, and write the model folder."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.dataset import Dataset
from components.data.onehot import Expansion
from components.train.regression import SimpleLinearRegression
from components.train.search import Candidate, Search, Trial, best
from predictor.model import artifact
from predictor.model.base import Distribution, Model, Reference
from predictor.model.inputs import Input
from predictor.model.kinds.linear import LinearModel, Weight

CURVE_POINTS = 200
# Rows whose one-hot columns are made at once.
BLOCK_ROWS = 2**16
# Descent that ends so far above the minimum, as a share of the loss, is worth a warning.
NOTABLE_GAP = 1e-3
# As a share of the loss before the first step: less is rounding, as where the features determine the target.
ROUNDING = 1e-12
# A feature takes part in a combination if its share is at least this part of the largest.
NOTABLE_SHARE = 0.1
# What is left of a direction of length 1 beside those of one-hot columns: less is rounding.
NOTABLE_REST = 1e-4


class TrainingError(ValueError):
    """The fit failed; the message says why."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        model: as it was written.
        digest: of the model folder.
        fingerprint: of the dataset.
        candidate: the features and the parameters it was fitted with.
        metrics: by name: rows; iterations; initial_loss and final_loss, what descent lowered over the
            training rows; loss_above_minimum, how much lower it could be (with l1, at most); training_seconds
            of the fit alone; peak_memory_mib of the process so far; with a search, search_seconds.
        steps: numbers of steps, shape (k,), spread evenly over their logarithm.
        losses: the losses after so many steps, shape (k,).
        trials: of the search, if there was one.
        warning: what is wrong with the fit, for people; mostly empty.
        unresolved: the features of which the data do not tell the weights apart; mostly none.
    """

    model: Model
    digest: str
    fingerprint: str
    candidate: Candidate
    metrics: dict[str, float]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    trials: tuple[Trial, ...] = ()
    warning: str = ""
    unresolved: tuple[str, ...] = ()

    def lineage(self) -> dict[str, str]:
        """Say how the model was made, as text: KFP would return integers as floats."""
        return {
            "framework": SimpleLinearRegression.__name__,
            "digest": self.digest,
            "dataset_fingerprint": self.fingerprint,
            "features": ", ".join(self.candidate.features),
            **{name: str(value) for name, value in self.candidate.parameters.items() if value is not None},
        }


def steps(iterations: int, lr: float, learning_rate: str) -> dict[str, Any]:
    """Return the estimator's parameters for those of the pipeline, where 0 leaves the choice to the data.

    Raises:
        TrainingError: they do not go together.
    """
    if learning_rate == "invscaling":
        if not (iterations and lr):
            raise TrainingError("learning_rate=invscaling needs iterations and lr above 0")
    elif not lr:
        learning_rate = "auto"
    return {
        "iterations": iterations or None,
        "learning_rate": learning_rate,
        **({"lr": lr} if lr else {}),
    }


def train(
    dataset: Dataset, model_folder: str | Path, *, search: Search | None = None, **parameters: Any
) -> TrainingResult:
    """Fit the model to the training rows and write its folder.

    From the moments alone, so that there may be more rows than the memory holds. Only the kept ones are read:
    for a search, for the distribution of the predictions, and for mini-batches, which need all of them kept.

    Args:
        dataset: what ingest wrote, of one shard or merged.
        model_folder: to write; it must not exist.
        search: candidates to compare first; the best is then fitted to all training rows.
        **parameters: of the estimator, ``SimpleLinearRegression``. Unless it is given, ``random_state`` is 0:
            the same dataset and parameters give the same model.

    Raises:
        SearchError: the search makes no sense, or none of its candidates could be fitted.
        TrainingError: the fit failed, as with a learning rate with which descent diverges.
        ArtifactError: a weight or prediction is too large for a double.
        FileExistsError: the folder exists.
    """
    expansion = Expansion(dataset.inputs)
    X, y = dataset.train()
    chosen = Candidate(
        tuple(one.name for one in expansion.inputs),
        {**SimpleLinearRegression(random_state=0).get_params(), **parameters},
    )
    trials: list[Trial] = []
    started = time.perf_counter()
    if search:
        trials = search.run(expansion.expand(X), y, expansion.names, chosen)
        chosen = best(trials)
    searched = time.perf_counter()
    try:
        estimator = _fit(dataset, expansion, chosen, X, y)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    fitted = time.perf_counter()
    model = _model(dataset, expansion, estimator, chosen, X)
    steps, losses = _curve(estimator)
    metrics = {
        "rows": float(dataset.train_rows),
        "iterations": float(estimator.n_iter_),
        "initial_loss": estimator.losses[0],
        "final_loss": estimator.losses[-1],
        "loss_above_minimum": estimator.gap_,
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
        chosen,
        metrics,
        steps,
        losses,
        tuple(trials),
        _warning(metrics),
        _unresolved(estimator, model),
    )


def _fit(
    dataset: Dataset, expansion: Expansion, chosen: Candidate, X: NDArray[np.float64], y: NDArray[np.float64]
) -> SimpleLinearRegression:
    if chosen.parameters["batch_size"] is None and (moments := dataset.moments):
        columns = chosen.positions(expansion.names)
        return SimpleLinearRegression(**chosen.parameters).fit_moments(moments.of_features(columns))
    if dataset.kept_rows < dataset.train_rows:
        raise ValueError(
            f"Mini-batches need the rows, and {dataset.kept_rows} of {dataset.train_rows} were kept: "
            "raise kept_rows, or leave batch_size out."
        )
    return chosen.fit(expansion.expand(X), y, expansion.names)


def _model(
    dataset: Dataset,
    expansion: Expansion,
    estimator: SimpleLinearRegression,
    chosen: Candidate,
    X: NDArray[np.float64],
) -> Model:
    named = {one.name: one for one in dataset.inputs}
    inputs = [named[name] for name in chosen.features]
    weights, intercept = _weights(dataset, estimator, inputs)
    blocks = [X[start : start + BLOCK_ROWS] for start in range(0, len(X), BLOCK_ROWS)]
    predictions = [
        estimator.predict(chosen.select(expansion.expand(block), expansion.names)) for block in blocks
    ]
    return LinearModel(
        weights=weights,
        intercept=intercept,
        inputs=inputs,
        target=dataset.target,
        reference=Reference(
            rows=dataset.train_rows,
            features={name: dataset.distributions[name] for name in chosen.features},
            prediction=Distribution.of(np.concatenate(predictions)),
        ),
    )


def _weights(
    dataset: Dataset, estimator: SimpleLinearRegression, inputs: Sequence[Input]
) -> tuple[list[Weight], float]:
    """Return the weights of the inputs and the intercept.

    The weights of all categories of an input may be raised and the intercept lowered without a change. They
    are set so that the mean effect over the kept rows is 0, which is the effect of an unknown category.
    """
    coefficients = np.asarray(estimator.coef_, dtype=np.float64)
    intercept = float(estimator.intercept_)
    weights: list[Weight] = []
    for one, columns in zip(inputs, Expansion(inputs).columns, strict=True):
        if one.type != "category":
            weights.append(float(coefficients[columns.start]))
            continue
        # The first bin is that of unknown categories.
        shares = np.array(dataset.distributions[one.name].proportions[1:])
        mean = float(coefficients[columns] @ shares)
        weights.append(tuple((coefficients[columns] - mean).tolist()))
        intercept += mean
    return weights, intercept


def _curve(estimator: SimpleLinearRegression) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sample the losses: there may be millions, each computed when it is read."""
    losses = estimator.losses
    last = len(losses) - 1
    steps = np.unique(np.geomspace(1, last, min(last, CURVE_POINTS)).round().astype(np.int64))
    return steps, losses[steps]


def _warning(metrics: Mapping[str, float]) -> str:
    gap, loss = metrics["loss_above_minimum"], metrics["final_loss"]
    if not gap > max(NOTABLE_GAP * loss, ROUNDING * metrics["initial_loss"]):
        return ""
    return (
        f"descent stopped short of the minimum: the loss over the training rows is {loss:.6g}, and could be "
        f"{gap:.3g} lower ({gap / loss:.1%} of it). iterations=0 takes as many steps as lead there"
    )


def _unresolved(estimator: SimpleLinearRegression, model: Model) -> tuple[str, ...]:
    """Name the inputs of which the data do not tell the weights apart.

    The one-hot columns of a category always add up to 1. That is no lack of data, and changes no prediction.
    """
    directions = estimator.unresolved_
    slots = Expansion(model.inputs).columns
    for one, columns in zip(model.inputs, slots, strict=True):
        if one.type == "category":
            shares = np.array(model.reference.features[one.name].proportions[1:])
            sum_of_columns = np.sqrt(shares * (1 - shares))
            sum_of_columns /= np.linalg.norm(sum_of_columns)
            along = directions[:, columns] @ sum_of_columns
            directions = directions.copy()
            directions[:, columns] -= np.outer(along, sum_of_columns)
    notable = np.array([np.linalg.norm(directions[:, columns]) for columns in slots])
    if not notable.max() > NOTABLE_REST:
        return ()
    takes_part = notable >= NOTABLE_SHARE * notable.max()
    return tuple(one.name for one, whether in zip(model.inputs, takes_part, strict=True) if whether)


def _peak_memory() -> float:
    """Return the greatest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
