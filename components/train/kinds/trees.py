"""Fits an ensemble of regression trees by scikit-learn's gradient boosting over histograms.

Of scikit-learn's ensembles this one grows with the number of rows alone, not with its logarithm, and compares
rows with thresholds in double precision, as the serving side does; the others round rows to single precision.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from components.train.kind import Fit, TrainingData
from predictor.model.kinds.trees import LEAF, MAX_DEPTH, MAX_TREES
from predictor.model.one_hot import expand

PARAMETERS: Mapping[str, Any] = {
    "max_iter": 100,
    "learning_rate": 0.1,
    "max_depth": 6,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 20,
    "l2_regularization": 0.0,
    "random_state": 0,
}
"""In scikit-learn's words; ``max_iter`` is the number of trees."""


def check(parameters: Mapping[str, Any]) -> None:
    """Check values of parameters without any data.

    Raises:
        ValueError: a value is invalid, or allows trees that the predictor does not serve.
    """
    HistGradientBoostingRegressor(**parameters)._validate_params()  # noqa: SLF001 - there is no other way
    trees, depth, leaves = (parameters[name] for name in ("max_iter", "max_depth", "max_leaf_nodes"))
    if trees > MAX_TREES:
        raise ValueError(f"max_iter is {trees}; the predictor serves at most {MAX_TREES} trees")
    deepest = min(depth or math.inf, leaves - 1 if leaves else math.inf)
    if deepest > MAX_DEPTH:
        raise ValueError(f"max_depth is {depth}; the predictor serves trees of depth {MAX_DEPTH} at most")


def fit(data: TrainingData, parameters: Mapping[str, Any]) -> Fit:
    """Fit the trees, each to the residuals of those before it."""
    estimator = HistGradientBoostingRegressor(early_stopping=False, **parameters)
    # More threads add up in another order, and the last digits can decide between two splits.
    with threadpool_limits(limits=1):
        estimator.fit(expand(data.X, data.inputs), data.y)
    learnt = parameters_of(estimator)
    kept, rows = len(data.y), data.rows
    part = f"the trees were fitted to the {kept:,} of {rows:,} training rows that were kept; see kept_rows"
    return Fit(
        learnt,
        type(estimator).__name__,
        {"trees": float(len(learnt["sizes"])), "leaves": float(learnt["columns"].count(LEAF))},
        warning=part if kept < rows else "",
    )


def parameters_of(estimator: HistGradientBoostingRegressor) -> dict[str, Any]:
    """Return the trees of a fitted estimator as the serving side reads them.

    scikit-learn has no public access to them; the tests compare predictions.
    """
    trees = [_tree(predictor.nodes) for (predictor,) in estimator._predictors]  # noqa: SLF001
    columns, left, values = (np.concatenate(parts).tolist() for parts in zip(*trees, strict=True))
    baseline = float(estimator._baseline_prediction.item())  # noqa: SLF001
    sizes = [len(tree[0]) for tree in trees]
    return {"baseline": baseline, "sizes": sizes, "columns": columns, "left": left, "values": values}


def _tree(nodes: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the columns, left children and values of a tree, its nodes in order of their depth.

    So the two children of a split are next to each other.
    """
    order, left = [0], []
    for node in order:
        is_split = not nodes["is_leaf"][node]
        left.append(len(order) if is_split else 0)
        if is_split:
            order += [int(nodes["left"][node]), int(nodes["right"][node])]
    ordered = nodes[order]
    leaf = ordered["is_leaf"].astype(np.bool_)
    columns = np.where(leaf, LEAF, ordered["feature_idx"]).astype(np.intp)
    return columns, np.array(left), np.where(leaf, ordered["value"], ordered["num_threshold"])
