"""Gradient descent as a textbook writes it: one step at a time, in long doubles."""

from typing import Any

import numpy as np
import pytest


def gradient_descent(
    X: Any,
    y: Any,
    iterations: int,
    lr: float = 0.1,
    *,
    standardize: bool = True,
    l2: float = 0.0,
    l1: float = 0.0,
    power: float = 0.0,
    weight: Any = None,
) -> tuple[Any, float, Any]:
    """Descend on the whole data; returns weights, intercept and losses."""
    X, y = X.astype(np.longdouble), y.astype(np.longdouble)
    share = np.ones(len(y)) if weight is None else weight
    share = share / share.sum()
    centre = share @ X if standardize else np.zeros(X.shape[1])
    scale = np.sqrt(share @ (X - centre) ** 2) if standardize else np.ones(X.shape[1])
    scale = np.where(np.ptp(X, axis=0) > 0, scale, 1)
    Z = (X - centre) / scale
    w, b = np.zeros(X.shape[1], dtype=np.longdouble), np.longdouble(0)
    losses = [share @ y**2]
    for step in range(1, iterations + 1):
        rate = lr / np.longdouble(step) ** power
        residual = y - Z @ w - b
        w, b = w + rate * 2 * (Z.T @ (share * residual) - l2 * w), b + rate * 2 * (share @ residual)
        w = np.sign(w) * np.maximum(np.abs(w) - rate * l1, 0)
        losses.append(share @ (y - Z @ w - b) ** 2 + l2 * w @ w + l1 * np.abs(w).sum())
    w = w / scale
    return w.astype(float), float(b - w @ centre), np.array(losses, dtype=float)


def assert_same(model: Any, reference: tuple[Any, float, Any]) -> None:
    """Compare a fitted model with what ``gradient_descent`` returned."""
    weights, intercept, losses = reference
    size = float(np.linalg.norm(weights))
    assert np.linalg.norm(model.coef_ - weights) <= 1e-9 * size
    assert model.intercept_ == pytest.approx(intercept, rel=1e-9, abs=1e-9 * size)
    np.testing.assert_allclose(np.asarray(model.losses), losses, rtol=0, atol=1e-9 * losses[0])
