"""Fits the linear model by gradient descent."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from components.train.kind import Curve, Fit, TrainingData, TrainingError
from components.train.regression import SimpleLinearRegression
from predictor.model.one_hot import expand, widths

PARAMETERS: Mapping[str, Any] = SimpleLinearRegression(random_state=0).get_params()

CURVE_POINTS = 200
# Descent that ends so far above the minimum, as a share of the loss, is worth a warning.
NOTABLE_GAP = 1e-3
# As a share of the loss before the first step: less is rounding, as where the features determine the target.
ROUNDING = 1e-12
# A feature takes part in a combination if its share is at least this part of the largest.
NOTABLE_SHARE = 0.1


def of_pipeline(given: Mapping[str, Any], searched: Collection[str] = ()) -> dict[str, Any]:
    """Return the estimator's parameters for those of the pipeline, where 0 leaves the choice to the data.

    Args:
        given: a value for each of ``components.train.defaults.DESCENT``.
        searched: the parameters that a search chooses.

    Raises:
        TrainingError: they do not go together.
    """
    iterations, lr, learning_rate = (given[name] for name in ("iterations", "lr", "learning_rate"))
    if learning_rate == "invscaling":
        if not (iterations and lr):
            raise TrainingError("learning_rate=invscaling needs iterations and lr above 0")
    elif not lr and "lr" not in searched:
        learning_rate = "auto"
    return {
        **{name: given[name] for name in ("alpha", "l1_ratio")},
        "penalty": given["penalty"] or None,
        "iterations": iterations or None,
        "learning_rate": learning_rate,
        **({"lr": lr} if lr else {}),
    }


def check(parameters: Mapping[str, Any]) -> None:
    """Check values of parameters without any data.

    Raises:
        ValueError: a value is invalid.
    """
    SimpleLinearRegression(**parameters)._validate_params()  # noqa: SLF001 - scikit-learn offers no other way


def fit(data: TrainingData, parameters: Mapping[str, Any]) -> Fit:
    """Fit the linear model by gradient descent.

    Full batches need the moments alone, so there may be more rows than fit in memory; mini-batches need all
    rows.

    Raises:
        ValueError: a parameter is invalid, descent diverges, or not all rows were kept for mini-batches.
    """
    estimator = SimpleLinearRegression(**parameters)
    if parameters["batch_size"] is None and data.moments:
        estimator.fit_moments(data.moments)
    elif len(data.y) < data.rows:
        raise ValueError(
            f"Mini-batches need the rows, and {len(data.y)} of {data.rows} were kept: "
            "raise kept_rows, or leave batch_size out."
        )
    else:
        estimator.fit(expand(data.X, data.inputs), data.y)
    metrics = {
        "iterations": float(estimator.n_iter_),
        "initial_loss": estimator.losses[0],
        "final_loss": estimator.losses[-1],
        "loss_above_minimum": estimator.gap_,
    }
    first, last, gap = (metrics[name] for name in ("initial_loss", "final_loss", "loss_above_minimum"))
    notes = [f"The loss fell from {first:.6g} to {last:.6g}, which is at most {gap:.3g} above its minimum."]
    if names := _unresolved(estimator, data):
        notes.append(
            f"The data do not determine each weight of {', '.join(names)}: some combination of these "
            "features does not vary by more than rounding. The weights have no part along it. That changes "
            "no prediction for rows in which these features go together as they do in training."
        )
    return Fit(
        _parameters(estimator, data),
        type(estimator).__name__,
        metrics,
        _curve(estimator),
        tuple(notes),
        _warning(metrics),
    )


def _parameters(estimator: SimpleLinearRegression, data: TrainingData) -> dict[str, Any]:
    """Return the weight of each input, for a category those of its columns, and the intercept.

    To raise all effects of a category and lower the intercept changes no prediction. The mean effect over the
    training rows is made 0, which is the effect of an unknown category.
    """
    parts = np.split(np.asarray(estimator.coef_, dtype=np.float64), np.cumsum(widths(data.inputs))[:-1])
    weights: list[float | list[float]] = []
    intercept = float(estimator.intercept_)
    for one, part in zip(data.inputs, parts, strict=True):
        if not one.categories:
            weights.append(float(part[0]))
            continue
        # The first of the shares is that of unknown categories.
        mean = float(part @ np.array(data.distributions[one.name].proportions[1:]))
        weights.append((part - mean).tolist())
        intercept += mean
    return {"weights": weights, "intercept": intercept}


def _curve(estimator: SimpleLinearRegression) -> Curve:
    """Sample the losses: there may be millions, each computed when it is read."""
    losses = estimator.losses
    last = len(losses) - 1
    steps = np.unique(np.geomspace(1, last, min(last, CURVE_POINTS)).round().astype(np.int64))
    return Curve(steps, losses[steps])


def _warning(metrics: Mapping[str, float]) -> str:
    gap, loss = metrics["loss_above_minimum"], metrics["final_loss"]
    if not gap > max(NOTABLE_GAP * loss, ROUNDING * metrics["initial_loss"]):
        return ""
    return (
        f"descent stopped short of the minimum: the loss over the training rows is {loss:.6g}, and could be "
        f"{gap:.3g} lower ({gap / loss:.1%} of it). iterations=0 takes as many steps as lead there"
    )


def _unresolved(estimator: SimpleLinearRegression, data: TrainingData) -> list[str]:
    """Return the inputs whose weights the data do not determine; mostly none.

    Categories are left out: their columns always add up to one, so that only differences are determined.
    """
    shares = np.linalg.norm(estimator.unresolved_, axis=0)
    columns = [one for one, width in zip(data.inputs, widths(data.inputs), strict=True) for _ in range(width)]
    least = NOTABLE_SHARE * shares.max(initial=0.0)
    return [
        one.name
        for one, share in zip(columns, shares, strict=True)
        if share > 0 and share >= least and not one.categories
    ]
