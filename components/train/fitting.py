"""Runs gradient descent on an objective: full batches, proximal steps, or mini-batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.train.descent import Descent
from components.train.losses import Path, Recorded
from components.train.objective import Objective
from components.train.proximal import ProximalDescent
from components.train.rates import Constant, InverseScaling, Rate

# An epoch that ends above this multiple of the first loss, or of the loss of zero weights, has diverged.
DIVERGED = 10.0
# The most steps with an l1 term where no number is given: each of them has to be taken.
L1_STEPS = 100_000

Floats = NDArray[np.float64]


class DivergenceError(ValueError):
    """Descent diverges at the learning rate; the message names the largest stable one."""


@dataclass(frozen=True, slots=True, eq=False)
class Stopping:
    """Stopping rule of descent.

    Attributes:
        limit: after so many steps; None for as many as lead to the minimum.
        tol: or once the loss has fallen by less than this, in units of the objective's loss; None for never,
        patience: so many times in a row.
    """

    limit: int | None
    tol: float | None
    patience: int


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of descent.

    Attributes:
        point: shape (d + 1,).
        steps: after how many steps, or epochs.
        path: the losses on the way.
        converged: False if ``tol`` was asked for and not met.
    """

    point: Floats
    steps: int
    path: Path
    converged: bool


def full_batch(objective: Objective, rate: Rate, start: Floats, stopping: Stopping) -> Outcome:
    """Step over the whole data: in closed form, or one by one where an l1 penalty puts corners in the way."""
    if objective.l1:
        proximal = ProximalDescent(objective, rate, start)
        if stopping.limit is None and stopping.tol is None:
            point, steps = proximal.to_minimum(L1_STEPS)
            return Outcome(point, steps, proximal, converged=True)
        point, steps, converged = proximal.run(stopping.limit or L1_STEPS, stopping.tol, stopping.patience)
        return Outcome(point, steps, proximal, converged)
    descent = Descent.on(objective, rate, start)
    limit = stopping.limit or descent.curve.arrival()
    if stopping.tol is None:
        return Outcome(descent.point(limit), limit, descent.curve, converged=True)
    stop = descent.curve.stop(stopping.tol, stopping.patience, limit)
    steps = limit if stop is None else stop
    return Outcome(descent.point(steps), steps, descent.curve, converged=stop is not None)


def epochs(
    epoch: Callable[[Floats], Floats],
    objective: Objective,
    start: Floats,
    stopping: Stopping,
    report: Callable[[int, float], None],
) -> Outcome:
    """Run epochs, each a function of the point.

    Raises:
        FloatingPointError: an epoch diverged.
    """
    point, losses = start, [float(objective.loss(start))]
    ceiling = DIVERGED * max(losses[0], float(objective.loss(np.zeros_like(start))))
    best, row = losses[0], 0
    for number in range(1, (stopping.limit or 1) + 1):
        with np.errstate(all="ignore"):
            point = epoch(point)
            loss = float(objective.loss(point))
        if not loss <= ceiling:
            raise FloatingPointError(f"the loss rose to {loss:g} in epoch {number}")
        losses.append(loss)
        report(number, loss)
        if stopping.tol is not None:
            row = row + 1 if loss > best - stopping.tol else 0
            best = min(best, loss)
            if row == stopping.patience:
                break
    converged = stopping.tol is None or row == stopping.patience
    return Outcome(point, len(losses) - 1, Recorded(np.array(losses)), converged)


def penalties(penalty: str | None, alpha: float, l1_ratio: float) -> tuple[float, float]:
    """Return the factors of the squared weights and of their absolute values."""
    if penalty is None:
        return 0.0, 0.0
    share = {"l2": 0.0, "l1": 1.0}.get(penalty, l1_ratio)
    return alpha * (1 - share), 2 * alpha * share


def stable_rate(
    schedule: str, lr: float, power: float, steepest: float, sharpness: Callable[[], float]
) -> Rate:
    """Return the rates of a schedule; the automatic one is the inverse of the sharpness.

    Args:
        schedule: constant, invscaling or auto.
        lr: the first rate.
        power: the exponent of invscaling.
        steepest: the largest eigenvalue of the Hessian.
        sharpness: twice the inverse of the largest stable rate; asked only when it is needed.

    Raises:
        DivergenceError: the first step, the largest, diverges.
    """
    if schedule == "auto":
        lr = 1 / sharpness()
    if not lr * steepest < 2:
        raise divergence(lr, sharpness())
    return InverseScaling(lr, power) if schedule == "invscaling" else Constant(lr)


def divergence(lr: float, sharpness: float) -> DivergenceError:
    """Return the error that names the largest stable rate, rounded down so that it may be copied."""
    stable = 2 / sharpness
    if not stable > 0:
        return DivergenceError(
            "Descent diverges at every learning rate: the squares of these features overflow."
        )
    unit = 10.0 ** (math.floor(math.log10(stable)) - 3)
    named = (math.ceil(stable / unit) - 1) * unit
    return DivergenceError(
        f"Descent diverges at the learning rate lr={lr:.4g}: "
        f"the largest stable one for this data is {named:.4g}."
    )
